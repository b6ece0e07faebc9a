"""A model's own answer as moderation lets it through: for callers who keep what they were shown (M-10)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import structlog

from parlour.features.moderation.output import OutputGuard
from parlour.features.moderation.values import Finding, GuardEvent, Say
from parlour.llm.model import Finish, ModelEvent, Prompt, Text
from parlour.vocabulary.errors import ProviderError
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Only the first ``length`` code points of what was said still stand."""

    length: int


SaidEvent = ModelEvent | TakenBack


class Voice(Protocol):
    """Whoever answers, with what it took."""

    provider: str
    name: str
    why: str

    @property
    def usage(self) -> Usage:
        """All tokens so far."""
        ...

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost so far; None where a price is unknown."""
        ...


class Refusal:
    """The friendly answer to a message that the owner's rules block; no model is asked."""

    provider = "parlour"
    name = "moderation"
    why = "The rules of this server do not let this message through."
    usage = Usage()
    cost_usd = Decimal(0)

    def __init__(self, sentence: str) -> None:
        """Answer with ``sentence``."""
        self._sentence = sentence

    async def stream(self, _prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Say it."""
        yield Text(self._sentence)
        yield Finish(FinishReason.FILTERED)


async def guarded(
    events: AsyncGenerator[ModelEvent, None], guard: OutputGuard
) -> AsyncGenerator[SaidEvent, None]:
    """Yield what the guard lets through; an answer that it ends ends as filtered."""
    with guard:
        async with aclosing(events) as opened:
            try:
                async for event in opened:
                    for each in await _shown(guard, event):
                        yield each
                    if guard.over:
                        yield Finish(FinishReason.FILTERED)
                        break
            except ProviderError:
                for each in _events(guard.broke_off()):
                    yield each
                raise


def log_findings(findings: Sequence[Finding]) -> None:
    """Tell the operator what was found, without a word of the text."""
    for finding in findings:
        _log.info(
            "completion_moderated",
            stage=finding.stage.value,
            rule=finding.rule,
            action=finding.action.value,
        )


async def _shown(guard: OutputGuard, event: ModelEvent) -> list[SaidEvent]:
    if isinstance(event, Text):
        return _events(guard.feed(event.content))
    if not isinstance(event, Finish):
        return [event]
    rest = _events(await guard.end())
    return rest if guard.over else [*rest, event]


def _events(events: Sequence[GuardEvent]) -> list[SaidEvent]:
    return [Text(each.text) if isinstance(each, Say) else TakenBack(each.length) for each in events]
