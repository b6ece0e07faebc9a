"""The window: the newest messages within a budget of tokens, always with the newest user message."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from parlour.llm.model import Prompt, Turn
from parlour.llm.tokens import estimate_tokens, tokens_at_most
from parlour.vocabulary.citation import Passage


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a conversation a model is shown: earlier messages, and tokens for all of the prompt."""

    messages: int = 20
    tokens: int = 16_000


def build(
    *,
    system: str,
    turns: Sequence[Turn],
    passages: tuple[Passage, ...],
    budget: Budget,
    partial: str = "",
) -> Prompt:
    """Return the prompt for the last of ``turns`` (a user's), in the order things were said.

    Tokens are estimated on the safe side. The system prompt, the passages and the newest message are always
    kept; of what was said before, the oldest goes first, and an answer never stands without its question.
    """
    *earlier, newest = turns
    always = (system, newest.content, partial, *(p.text for p in passages))
    # Most conversations are far from the budget: then their size says enough, and nothing is cut to pieces.
    roomy = sum(map(tokens_at_most, (*always, *(turn.content for turn in earlier)))) <= budget.tokens
    tokens = tokens_at_most if roomy else estimate_tokens
    left = budget.tokens - sum(map(tokens, always))
    kept: list[Turn] = []
    for turn in reversed(earlier[-budget.messages :] if budget.messages else []):
        left -= tokens(turn.content)
        if left < 0:
            break
        kept.append(turn)
    while kept and kept[-1].role == "assistant":
        kept.pop()
    return Prompt(system=system, turns=(*reversed(kept), newest), passages=tuple(passages), partial=partial)


def shortened(prompt: Prompt) -> Prompt | None:
    """Return ``prompt`` with half of what was said before and looked up; None if there is neither.

    For a model that found it too long although the estimate said otherwise: tried once, not over and over.
    """
    *earlier, newest = prompt.turns
    if not earlier and not prompt.passages:
        return None
    kept = earlier[(len(earlier) + 1) // 2 :]
    while kept and kept[0].role != "user":
        kept.pop(0)
    passages = prompt.passages[: len(prompt.passages) // 2]
    return replace(prompt, turns=(*kept, newest), passages=passages)
