"""One call to one model: what a reader is given of it, and the line that it leaves in the ledger."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime

from parlour.llm.model import Finish, ModelEvent, Prompt, Sources, Text, ToolCall
from parlour.llm.orchestra.breaker import Breaker, Entry
from parlour.llm.orchestra.continuation import Joiner
from parlour.llm.orchestra.ledger import Ledger, estimated_usage, was_taken
from parlour.llm.orchestra.routing import Candidate
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.errors import (
    ParlourError,
    ProviderError,
    Unreachable,
)
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage


class Call:
    """One call to one model. Words are taken by :meth:`take` until it flows, then they only pass."""

    def __init__(
        self,
        *,
        candidate: Candidate,
        prompt: Prompt,
        breaker: Breaker,
        entry: Entry,
        why: str,
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        """Be ready to ask ``candidate``, which its breaker let in."""
        self.candidate = candidate
        self.why = why
        self.said: list[str] = []
        self.flowing = False
        self.finished = False
        self._prompt = prompt
        self._breaker = breaker
        self._entry = entry
        self._ledger = ledger
        self._clock = clock
        self._joiner = Joiner(prompt.partial) if prompt.partial else None
        self._held: list[ToolCall] = []
        self._begun: float | None = None
        self._started_at: datetime | None = None
        self._ttft: float | None = None
        self._over = False
        self.called_tools = False
        self.reason: FinishReason | None = None

    def events(self) -> AsyncGenerator[ModelEvent, None]:
        """Ask the model."""
        self._begun, self._started_at = self._clock(), self._ledger.now()
        return self.candidate.model.stream(self._prompt)

    def take(self, event: ModelEvent) -> Sequence[ModelEvent]:
        """Return what a reader is given of ``event``."""
        if self._ttft is None:
            self._ttft = self._clock() - (self._begun or 0.0)
            self._entry = self._breaker.spoke(self._entry, self._ttft)
        match event:
            case Text(content):
                if self._joiner is not None:
                    content = self._joiner.feed(content)
                self.flowing = self._joiner is None or self._joiner.settled
                return self._speak(content)
            case ToolCall():
                # Given out with the end only: a call that broke off must not have any tool called.
                self._held.append(event)
                return ()
            case Finish():
                rest = self._speak(self._joiner.end()) if self._joiner is not None else ()
                self.called_tools, self.reason = bool(self._held), event.reason
                self._end(AttemptStatus.ANSWERED, usage=event.usage)
                self.finished = True
                return (*rest, *self._held, event)
            case Sources():
                return (event,)
            case _:
                return ()

    def expect_finished(self) -> None:
        """The model's stream is at its end. Raises Unreachable when that was not a regular one."""
        if not self.finished:
            raise Unreachable(cause="the model's stream ended without a finish")

    def failed(self, error: ProviderError, *, in_time: bool) -> None:
        """The call ended in ``error``; not ``in_time`` when it was we who had no time left."""
        if self._over:
            return
        if in_time:
            self._breaker.failed(self._entry, error)
        else:
            self._breaker.abandoned(self._entry)
        unpaid = self._ttft is None and not was_taken(error)
        known = error.usage or (None if unpaid else self._estimate(broken_off=True))
        self._end(AttemptStatus.FAILED, usage=known, error=error)

    def stopped(self, error: BaseException) -> None:
        """Whoever asked wants no more, or something of ours broke."""
        if self._over:
            return
        self._breaker.abandoned(self._entry)
        if self._begun is None:
            return
        if isinstance(error, GeneratorExit | asyncio.CancelledError):
            self._end(AttemptStatus.STOPPED, usage=self._estimate(broken_off=True))
        else:
            self._end(AttemptStatus.FAILED, usage=self._estimate(broken_off=True), error=error)

    def _speak(self, content: str) -> Sequence[ModelEvent]:
        if not content:
            return ()
        self.said.append(content)
        return (Text(content),)

    def _estimate(self, *, broken_off: bool = False) -> Usage:
        silent = 0.0
        if broken_off:
            silent = self._clock() - (self._begun or 0.0) if self._ttft is None else self._ttft
        who, said = self.candidate.model, "".join(self.said)
        return estimated_usage(self._prompt, said, provider=who.provider, model=who.name, silent=silent)

    def _end(self, status: AttemptStatus, *, usage: Usage | None, error: BaseException | None = None) -> None:
        self._over = True
        if status is AttemptStatus.ANSWERED:
            self._breaker.succeeded(self._entry)
            usage = usage or self._estimate()
        self._ledger.add(
            Attempt(
                provider=self.candidate.model.provider,
                model=self.candidate.model.name,
                status=status,
                why=self.why,
                started_at=self._started_at or self._ledger.now(),
                duration_ms=round((self._clock() - (self._begun or 0.0)) * 1000),
                ttft_ms=None if self._ttft is None else round(self._ttft * 1000),
                usage=usage,
                error=_code(error),
                cause=_cause(error),
            )
        )


def _code(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return error.code if isinstance(error, ParlourError) else ParlourError.code


def _cause(error: BaseException | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, ParlourError):
        return error.cause
    return f"{type(error).__name__}: {error}"
