"""The built-in model behind the protocol of all models: composes at once, then speaks word by word."""

import asyncio
import re
from collections.abc import AsyncGenerator

from parlour.llm.model import Finish, ModelEvent, Prompt, Sources, Text
from parlour.llm.providers.builtin.compose import Answer, compose
from parlour.llm.providers.builtin.courtesy import courtesy
from parlour.llm.tokens import estimate_tokens
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

# Seconds between two words: quick to read along with, and the page is seen to stream.
PACE = 0.01

UNKNOWN = "I don't have this in my documents, so I'd rather not guess."
_NEAREST = "What I have comes closest to it in: {titles}."
_NEAREST_AT_MOST = 3


class BuiltinModel:
    """Quotes the sentences of ``prompt.passages`` that answer the newest question, or says that none does."""

    provider = "builtin"
    name = "builtin"

    def __init__(self, *, pace: float = PACE) -> None:
        """Speak a word every ``pace`` seconds."""
        self._pace = pace

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Yield the sources, the answer in words, and the end. Never fails; equal prompts, equal answers."""
        answer = answer_to(prompt)
        if answer.sources:
            yield Sources(answer.sources)
        text = _rest(answer.text, prompt.partial)
        for piece in re.findall(r"\s*\S+(?:\s+\Z)?", text):
            yield Text(piece)
            await asyncio.sleep(self._pace)
        yield Finish(FinishReason.LENGTH if answer.cut else FinishReason.STOP, _usage(prompt, text))


def answer_to(prompt: Prompt) -> Answer:
    """Return the whole answer to a prompt, whatever of it was said before."""
    asked = [turn.content for turn in prompt.turns if turn.role == "user"]
    question = asked[-1] if asked else ""
    pleasantry = courtesy(question)
    if pleasantry:
        return Answer(pleasantry)
    found = compose(question, asked[:-1], prompt.passages, max_tokens=prompt.max_tokens)
    return found or Answer(_unknown(prompt.passages))


def _usage(prompt: Prompt, text: str) -> Usage:
    """Return what other models would have been given and said, so that costs can be compared."""
    given = (*(turn.content for turn in prompt.turns), *(passage.text for passage in prompt.passages))
    return Usage(sum(map(estimate_tokens, given)), estimate_tokens(text), estimated=True)


def _unknown(passages: tuple[Passage, ...]) -> str:
    titles = list(dict.fromkeys(passage.document_title for passage in passages))[:_NEAREST_AT_MOST]
    return f"{UNKNOWN} {_NEAREST.format(titles='; '.join(titles))}" if titles else UNKNOWN


def _rest(text: str, partial: str) -> str:
    """Return what is still to be said after ``partial``.

    Usually that is the beginning of this very answer. Otherwise the documents changed meanwhile, or another
    model began: then only what it has not said yet follows, as a paragraph of its own.
    """
    if text.startswith(partial):
        return text[len(partial) :]
    unsaid = [paragraph for paragraph in text.split("\n\n") if paragraph not in partial]
    gap = "" if partial.endswith("\n\n") else "\n\n"
    return gap + "\n\n".join(unsaid) if unsaid else ""
