"""Answers of a model by itself: no assistant, no session, nothing kept but the ledger and flags (T-5).

Whoever asks brings the whole prompt. Limits, budgets, choice, fallback and ledger are those of every answer.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial

from parlour.features.assistants.books import Books
from parlour.features.assistants.models import Models, Offer
from parlour.features.assistants.moderated import Refusal, SaidEvent, Voice, guarded, log_findings
from parlour.features.limits.rates import Admission
from parlour.features.limits.service import Limits
from parlour.features.limits.values import Completion
from parlour.features.moderation.masking.model import Masked
from parlour.features.moderation.output import OutputGuard
from parlour.features.moderation.service import Moderation
from parlour.features.moderation.values import About, Finding, Verdict
from parlour.llm.model import Finish, Prompt, Turn
from parlour.llm.orchestra.fallback import Answering
from parlour.llm.orchestra.routing import Wish
from parlour.llm.tokens import at_most_tokens, estimate_tokens, estimated_tokens
from parlour.vocabulary.errors import Forbidden, ModelMissing, ParlourError, Unavailable
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role


class Completions:
    """Lets users and their programs ask models directly."""

    def __init__(self, *, models: Models, limits: Limits, moderation: Moderation, books: Books) -> None:
        """Ask ``models`` within ``limits`` what ``moderation`` lets through, and keep ``books`` of it."""
        self._models = models
        self._limits = limits
        self._moderation = moderation
        self._books = books
        self._draining = False

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
        self._models.check_plan(principal, model)
        most = self._models.terms.reply_tokens
        prompt = replace(prompt, max_tokens=min(prompt.max_tokens or most, most))
        told = estimated_tokens(prompt)
        admission = await self._limits.admit(principal, session_id=None, tokens=told)
        # Before any other work: nobody need look into what no model can take.
        choice = self._models.choose(self._wish(principal, prompt, model, told, streaming=streaming))
        verdict = await self._judged(principal, _brought(prompt))
        if verdict.blocked:
            return _refused(verdict, admission)
        prompt = _with_brought(prompt, verdict.texts)
        completion = await self._limits.begin_completion(
            principal,
            assistant_id=None,
            worst_usd=self._models.worst_case_usd(
                choice, prompt_tokens=at_most_tokens(prompt, choice.models)
            ),
        )
        answering = self._models.answering(choice, scope=principal.person_id)
        masker = self._moderation.masker()
        heard = [turn.content for turn in prompt.turns if turn.role == "user"]
        guard = self._moderation.guard_output(heard=heard, masker=masker)
        # Here the instructions are the caller's own words, too.
        voice = answering if masker is None else Masked(answering, masker, system=True)
        return ModelAnswer(
            completion.id,
            answering,
            admission,
            lambda: voice.stream(prompt) if guard is None else guarded(voice.stream(prompt), guard),
            lambda: self._end(principal, completion, admission, answering, guard),
        )

    async def judge_earlier(
        self, principal: Principal, earlier: Sequence[Turn]
    ) -> "tuple[tuple[Turn, ...], ModelAnswer | None]":
        """Judge what somebody brings to an assistant as said before, which no model has judged yet.

        Return it as it may be kept; or nothing, and the friendly answer in place of the assistant's.
        """
        prompt = Prompt(system="", turns=tuple(earlier))
        if not prompt.turns:
            return (), None
        verdict = await self._judged(principal, _brought(prompt))
        if not verdict.blocked:
            return _with_brought(prompt, verdict.texts).turns, None
        told = sum(estimate_tokens(turn.content) for turn in earlier)
        return (), _refused(verdict, await self._limits.admit(principal, session_id=None, tokens=told))

    async def _judged(self, principal: Principal, texts: Sequence[str]) -> Verdict:
        verdict = await self._moderation.check_input(*texts)
        await self._keep(principal, verdict.findings, verdict.excerpt)
        return verdict

    async def _keep(self, principal: Principal, findings: Sequence[Finding], excerpt: str | None) -> None:
        """Keep what was found for review: there is no message, so with who brought it."""
        if findings:
            log_findings(findings)
            about = About(principal.person_id, key_id=principal.key_id, excerpt=excerpt)
            await self._books.write(partial(self._moderation.record, about, findings))

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
        self,
        principal: Principal,
        completion: Completion,
        admission: Admission,
        answering: Answering,
        guard: OutputGuard | None,
    ) -> None:
        """Write what it took, and what was found in it."""
        await self._books.write(partial(self._limits.end_completion, principal, completion, answering.ledger))
        if guard is not None:
            await self._keep(principal, guard.findings, None)
        with suppress(ParlourError):
            await self._limits.settle(admission, answering.usage.total)


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


def _brought(prompt: Prompt) -> list[str]:
    """Return what the caller says or vouches for: all but what a model said."""
    return [prompt.system, *(turn.content for turn in prompt.turns if turn.role != "assistant")]


def _with_brought(prompt: Prompt, texts: Sequence[str]) -> Prompt:
    """Return the prompt with these in the place of what was brought."""
    system, *others = texts
    following = iter(others)
    turns = tuple(
        turn if turn.role == "assistant" else replace(turn, content=next(following)) for turn in prompt.turns
    )
    return replace(prompt, system=system, turns=turns)


def _refused(verdict: Verdict, admission: Admission) -> "ModelAnswer":
    refusal = Refusal(verdict.sentence)
    return ModelAnswer(new_id(), refusal, admission, lambda: refusal.stream(Prompt(system="", turns=())))
