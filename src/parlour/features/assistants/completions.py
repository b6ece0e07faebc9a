"""Answers of a model by itself: no assistant, no session, nothing kept but the ledger (T-5).

Whoever asks brings the whole prompt. Limits, budgets, choice, fallback and ledger are those of every answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal

import structlog

from parlour.features.assistants.models import Models, Offer
from parlour.features.assistants.moderated import Refusal, SaidEvent, Voice, guarded, log_findings
from parlour.features.limits.rates import Admission
from parlour.features.limits.service import Limits
from parlour.features.limits.values import Completion
from parlour.features.moderation.masking.model import Masked
from parlour.features.moderation.service import Moderation
from parlour.llm.model import Finish, Prompt
from parlour.llm.orchestra.fallback import Answering
from parlour.llm.orchestra.ledger import estimated_usage
from parlour.llm.orchestra.routing import Wish
from parlour.vocabulary.errors import Forbidden, ModelMissing, ParlourError, Unavailable
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role

_log = structlog.get_logger(__name__)


class Completions:
    """Lets users and their programs ask models directly."""

    def __init__(self, *, models: Models, limits: Limits, moderation: Moderation) -> None:
        """Ask ``models`` within ``limits`` what ``moderation`` lets through."""
        self._models = models
        self._limits = limits
        self._moderation = moderation
        self._draining = False
        self._ending: set[asyncio.Task[None]] = set()

    def drain(self) -> None:
        """Begin no more answers: this process goes away."""
        self._draining = True

    def offered(self, principal: Principal) -> list[Offer]:
        """Return the models that a person may ask; visitors have assistants only."""
        return self._models.offered(principal) if principal.role.includes(Role.USER) else []

    async def begin(
        self, principal: Principal, prompt: Prompt, *, model: str, streaming: bool
    ) -> "ModelAnswer":
        """Let a request in and choose who answers; nobody is called before its events are read.

        Raises Forbidden, ModelMissing, TooMany, OverBudget, and what the choice raises.
        """
        if not principal.role.includes(Role.USER):
            raise Forbidden("Visitors can ask assistants only. Sign in, or use an API key, to ask a model.")
        if self._draining:
            raise Unavailable("This server is about to restart. Try again in a moment.", retry_after=1)
        if not self._models.offers(model):
            raise ModelMissing("There is no such model here. GET /v1/models lists those that there are.")
        most = self._models.terms.reply_tokens
        prompt = replace(prompt, max_tokens=min(prompt.max_tokens or most, most))
        told = estimated_usage(prompt, "").input_tokens
        admission = await self._limits.admit(principal, session_id=None, tokens=told)
        verdict = await self._moderation.check_input(_asked(prompt))
        log_findings(verdict.findings)
        if verdict.blocked:
            refusal = Refusal(verdict.sentence)
            return ModelAnswer(new_id(), refusal, admission, lambda: refusal.stream(prompt))
        prompt = _with_question(prompt, verdict.text)
        choice = self._models.choose(self._wish(principal, prompt, model, told, streaming=streaming))
        completion = await self._limits.begin_completion(
            principal,
            assistant_id=None,
            worst_usd=self._models.worst_case_usd(choice, prompt_tokens=told),
        )
        answering = self._models.answering(choice, scope=principal.person_id)
        return ModelAnswer(
            completion.id,
            answering,
            admission,
            lambda: self._events(answering, prompt),
            lambda: self._end(principal, completion, admission, answering),
        )

    async def finish_all(self) -> None:
        """Wait until every ledger is written."""
        while self._ending:
            await asyncio.gather(*self._ending, return_exceptions=True)

    def _events(self, answering: Answering, prompt: Prompt) -> AsyncGenerator[SaidEvent, None]:
        """Return what the model says, masked on the way there and judged on the way back."""
        masker = self._moderation.masker()
        heard = [turn.content for turn in prompt.turns if turn.role == "user"]
        if masker is None:
            events = answering.stream(prompt)
        else:
            # Here the instructions are the caller's own words, too.
            prompt = replace(prompt, system=masker.mask(prompt.system))
            events = Masked(answering, masker).stream(prompt)
        guard = self._moderation.guard_output(heard=heard, masker=masker)
        return events if guard is None else guarded(events, guard)

    def _wish(self, principal: Principal, prompt: Prompt, model: str, told: int, *, streaming: bool) -> Wish:
        return Wish(
            model=model,
            text=_asked(prompt),
            tools=bool(prompt.tools),
            images=any(turn.images for turn in prompt.turns),
            streaming=streaming,
            prompt_tokens=told,
            max_tokens=prompt.max_tokens or 0,
            priced=self._limits.budgets.apply(principal, None),
            allowed=self._models.allowed(principal),
        )

    async def _end(
        self, principal: Principal, completion: Completion, admission: Admission, answering: Answering
    ) -> None:
        """Write what it took. In a task of its own: whoever asked may be gone, and the books stay right."""
        ending = asyncio.create_task(self._settle(principal, completion, admission, answering))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)

    async def _settle(
        self, principal: Principal, completion: Completion, admission: Admission, answering: Answering
    ) -> None:
        await _or_logged(self._limits.settle(admission, answering.usage.total))
        await _or_logged(self._limits.end_completion(principal, completion, answering.ledger))


async def _nothing() -> None:
    """End what has taken nothing."""


class ModelAnswer:
    """One answer of a model, ready to be read once."""

    def __init__(
        self,
        answer_id: str,
        voice: Voice,
        admission: Admission,
        begin: Callable[[], AsyncGenerator[SaidEvent, None]],
        end: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        """Hold what is needed; ``end`` is called when it was read, or given up."""
        self.id = answer_id
        self.admission = admission
        self._voice = voice
        self._begin = begin
        self._end = end

    @property
    def model(self) -> str:
        """Who answers now: ``provider/name``."""
        return f"{self._voice.provider}/{self._voice.name}"

    @property
    def why(self) -> str:
        """Why this one, in a sentence for people."""
        return self._voice.why

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost so far; None where a price is unknown."""
        return self._voice.cost_usd

    async def events(self) -> AsyncGenerator[SaidEvent, None]:
        """Ask, and yield what the model says; the end comes with the usage of all attempts together.

        Closing it closes the call upstream. Raises what the model raises.
        """
        finish: Finish | None = None
        try:
            async with aclosing(self._begin()) as events:
                async for event in events:
                    if isinstance(event, Finish):
                        finish = event
                    else:
                        yield event
            if finish is not None:
                yield Finish(finish.reason, self._voice.usage)
        finally:
            await self._end()


def _asked(prompt: Prompt) -> str:
    """Return the newest message of the person."""
    return next((turn.content for turn in reversed(prompt.turns) if turn.role == "user"), "")


def _with_question(prompt: Prompt, text: str) -> Prompt:
    """Return the prompt with another newest message of the person."""
    if text == _asked(prompt):
        return prompt
    place = max(place for place, turn in enumerate(prompt.turns) if turn.role == "user")
    turns = (*prompt.turns[:place], replace(prompt.turns[place], content=text), *prompt.turns[place + 1 :])
    return replace(prompt, turns=turns)


async def _or_logged(work: Awaitable[None]) -> None:
    try:
        await work
    except ParlourError as error:  # the answer is out; the operator learns what is missing
        _log.error("completion_not_settled", code=error.code, cause=error.cause)
