"""One answer: look things up, choose who speaks, build the prompt, and let the agent speak into the log."""

import time
from collections.abc import Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from parlour.features.assistants.loop import Cited, loop
from parlour.features.assistants.service import Agent, Assistants
from parlour.features.assistants.values import Assistant
from parlour.features.chat.log.live import LiveRun
from parlour.features.chat.log.telling import Telling
from parlour.features.chat.store import sessions
from parlour.features.chat.values import Outcome, Run, Said
from parlour.features.context.window import Budget, build, shortened
from parlour.features.limits.service import Limits
from parlour.features.moderation.masking.masker import Masker
from parlour.features.moderation.masking.model import Masked
from parlour.features.moderation.output import OutputGuard
from parlour.features.moderation.service import Moderation
from parlour.features.moderation.values import About, Finding, GuardEvent, Say
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import WORKER, Database, patiently
from parlour.llm.model import Chosen, Finish, Prompt, Text, Turn
from parlour.llm.orchestra.ledger import estimated_usage
from parlour.llm.orchestra.routing import Choice, Wish
from parlour.llm.tokens import at_most_tokens, estimate_tokens, tokens_at_most
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import ContextTooLong
from parlour.vocabulary.messages import FinishReason, MessageRole
from parlour.vocabulary.principal import Principal

SHARED = "shared"  # whose kept answers nobody owns


class Lookup(Protocol):
    """What knowledge offers to a turn."""

    async def search(self, question: str, *, earlier: Sequence[str] = ()) -> tuple[Passage, ...]:
        """Return passages that may answer ``question``, asked after ``earlier`` ones, best first."""
        ...


class Answerer:
    """Makes the answers of this process, each in the task of its run."""

    def __init__(
        self,
        *,
        database: Database,
        assistants: Assistants,
        knowledge: Lookup,
        moderation: Moderation,
        limits: Limits,
        budget: Budget,
        metrics: Metrics,
    ) -> None:
        """Let ``assistants`` answer from what ``knowledge`` finds and ``moderation`` lets through."""
        self._database = database
        self._assistants = assistants
        self._knowledge = knowledge
        self._moderation = moderation
        self._limits = limits
        self._budget = budget
        self._metrics = metrics

    def worst_case(self, principal: Principal, run: Run, text: str) -> Decimal:
        """Return the most US dollars that an answer can cost. Raises what tells why nobody can give it."""
        choice = self._choose(run.assistant_id, run.model, principal, text)
        # The budget bounds what is looked up and recalled; what must be in the prompt may go beyond it.
        always = Prompt(self._assistants.in_charge(run.assistant_id).system_prompt, (Turn("user", text),))
        return self._assistants.models.worst_case_usd(
            choice, prompt_tokens=self._budget.tokens + at_most_tokens(always, choice.models)
        )

    async def answer(
        self, run: Run, live: LiveRun, outcome: Outcome, said: Sequence[Said] | None = None
    ) -> None:
        """Judge the message, choose who answers, search, build the prompt, and let the agent speak."""
        telling = Telling(run, live, outcome, self._metrics)
        assistant = self._assistants.in_charge(run.assistant_id)
        outcome.agent = assistant.name
        findings: list[Finding] = []
        masker = self._moderation.masker()
        try:
            turns = await self._history(run, said)
            verdict = await self._moderation.check_input(turns[-1].content)
            findings += verdict.findings
            if verdict.blocked:
                if not telling.text:  # a former owner may have said it
                    telling.say(verdict.sentence)
                outcome.finish_reason = FinishReason.FILTERED
                return
            turns[-1] = replace(turns[-1], content=verdict.text)
            await self._reply(run, telling, assistant, turns, findings, masker)
        finally:
            receipt = masker.receipt if masker is not None else None
            about = About(run.person_id, run.session_id, run.user_message_id, run.id)
            await patiently(lambda: self._moderation.record(about, findings, receipt))

    async def _reply(
        self,
        run: Run,
        telling: Telling,
        assistant: Assistant,
        turns: list[Turn],
        findings: list[Finding],
        masker: Masker | None,
    ) -> None:
        asker = Principal(run.person_id, plan=run.plan, key_id=run.key_id)
        choice = self._choose(run.assistant_id, run.model, asker, turns[-1].content)
        first = choice.first.model
        telling.chosen(Chosen(first.provider, first.name, choice.why))
        passages, found = await self._moderation.check_passages(await self._found(telling, turns))
        findings += found
        outcome = telling.outcome
        outcome.prompt = prompt = self._prompt(choice, assistant, turns, passages, partial=telling.text)
        outcome.attempts = self._lost(run, outcome, prompt)
        telling.stage("waiting")
        tokens = bounded_tokens(prompt, self._budget.tokens)
        answering = self._assistants.models.answering(
            replace(choice, prompt_tokens=tokens), scope=self._scope(run, prompt)
        )
        model = Masked(answering, masker) if masker is not None else answering
        heard = [turn.content for turn in turns if turn.role == "user"]
        guard = self._moderation.guard_output(said=telling.text, heard=heard, masker=masker)
        try:
            with guard or nullcontext():
                agent = Agent(assistant.name, assistant.system_prompt, model)
                try:
                    await _speak(agent, prompt, telling, guard)
                except ContextTooLong:
                    shorter = shortened(prompt)
                    if shorter is None or telling.text != prompt.partial:
                        raise
                    outcome.prompt = shorter
                    await _speak(agent, shorter, telling, guard)
        except BaseException:  # stopped, or failed in the middle of a sentence
            if guard is not None:
                _ended_by(guard, guard.broke_off(), telling)
            raise
        finally:
            findings += guard.findings if guard is not None else ()
            outcome.attempts += answering.ledger
            outcome.usage, outcome.cost_usd = answering.usage, answering.cost_usd

    def _choose(self, assistant_id: str, model: str | None, asker: Principal, text: str) -> Choice:
        models = self._assistants.models
        always = (self._assistants.in_charge(assistant_id).system_prompt, text)
        wish = Wish(
            model=model,
            text=text,
            streaming=True,
            priced=self._limits.budgets.apply(asker, assistant_id),
            prompt_tokens=sum(map(estimate_tokens, always)),
            allowed=models.allowed(asker),
        )
        return models.choose(wish)

    async def _found(self, telling: Telling, turns: Sequence[Turn]) -> tuple[Passage, ...]:
        telling.stage("searching")
        begun = time.perf_counter()
        earlier = [turn.content for turn in turns[:-1] if turn.role == "user"]
        passages = await self._knowledge.search(turns[-1].content, earlier=earlier)
        self._metrics.stage("searching", time.perf_counter() - begun)
        return passages

    def _prompt(
        self,
        choice: Choice,
        assistant: Assistant,
        turns: Sequence[Turn],
        passages: tuple[Passage, ...],
        *,
        partial: str,
    ) -> Prompt:
        """Build the prompt for the model that was chosen: what it reads and writes together must fit it."""
        profile, reply = choice.first.profile, self._assistants.models.terms.reply_tokens
        room = profile.context_tokens - min(reply, profile.output_tokens, profile.context_tokens // 2)
        budget = replace(self._budget, tokens=min(self._budget.tokens, room))
        prompt = build(
            system=assistant.system_prompt, turns=turns, passages=passages, budget=budget, partial=partial
        )
        return replace(prompt, max_tokens=reply)

    def _scope(self, run: Run, prompt: Prompt) -> str | None:
        """Return whose kept answers may be given: everybody's to a first question without personal data."""
        if run.again or not self._assistants.models.terms.cached:
            return None  # who asks again wants another answer
        alone = len(prompt.turns) == 1 and Masker().mask(prompt.turns[0].content) == prompt.turns[0].content
        return SHARED if alone else run.person_id

    def _lost(self, run: Run, outcome: Outcome, prompt: Prompt) -> list[Attempt]:
        """Return the ledger's lines for calls that died with their process; their usage is an estimate."""
        lines = []
        for number, asked in enumerate(outcome.lost, start=1):
            said = prompt.partial if number == len(outcome.lost) else ""
            bare = replace(prompt, partial="")
            usage = estimated_usage(bare, said, provider=asked.provider, model=asked.model)
            cost = self._assistants.models.cost_usd(asked.provider, asked.model, usage)
            lines.append(replace(lost_attempt(run, asked), usage=usage, cost_usd=cost))
        return lines

    def said(self, connection: Any, run: Run) -> Sequence[Said]:  # noqa: ANN401 - it is the store's business
        """Read the message to answer, and so many before it as a model is shown."""
        return sessions.history(connection, run.session_id, run.user_message_id, self._budget.messages + 1)

    async def _history(self, run: Run, said: Sequence[Said] | None) -> list[Turn]:
        """Return what the model may know of what was said, the message to answer last."""
        rows = said
        if rows is None:
            rows = await patiently(
                lambda: self._database.read(WORKER, lambda connection: self.said(connection, run))
            )
        blocked = await patiently(lambda: self._moderation.blocked_messages(run.session_id))
        blocked -= {run.user_message_id}
        return [
            Turn("user", self._recalled(row, run)) if _is_users(row) else Turn("assistant", row.content)
            for row in rows
            if row.content and row.id not in blocked
        ]

    def _recalled(self, row: Any, run: Run) -> str:  # noqa: ANN401 - a row of the store
        content: str = row.content
        return content if row.id == run.user_message_id else self._moderation.recalled(content)


async def _speak(agent: Agent, prompt: Prompt, telling: Telling, guard: OutputGuard | None) -> None:
    """Let the agent speak, through the guard if there is one."""
    if guard is not None and _ended_by(guard, (), telling):
        return
    async with aclosing(loop(agent, prompt)) as events:
        async for event in events:
            if isinstance(event, Text):
                if guard is None:
                    telling.say(event.content)
                elif _ended_by(guard, guard.feed(event.content), telling):
                    return
            elif isinstance(event, Cited):
                telling.cite(event.citation)
            elif isinstance(event, Chosen):
                telling.chosen(event)
            elif isinstance(event, Finish):
                telling.outcome.finish_reason = event.reason
                if guard is not None:
                    _ended_by(guard, await guard.end(), telling)


def _ended_by(guard: OutputGuard, events: Sequence[GuardEvent], telling: Telling) -> bool:
    """Show what the guard lets through and take back what it does not; tell whether it ended the answer."""
    for event in events:
        if isinstance(event, Say):
            telling.say(event.text)
        else:
            telling.retract(event.length, event.reason)
    if guard.over:
        telling.outcome.finish_reason = FinishReason.FILTERED
    return guard.over


def lost_attempt(run: Run, asked: Chosen) -> Attempt:
    """Return the ledger's line for a call of which nobody wrote down an end."""
    return Attempt(
        provider=asked.provider,
        model=asked.model,
        status=AttemptStatus.LOST,
        why=asked.why,
        started_at=run.created_at,
        error="lost",
        cause="the process that made this call ended before the answer did",
    )


def _is_users(row: Any) -> bool:  # noqa: ANN401 - a row of the store
    return bool(row.role == MessageRole.USER.value)


def bounded_tokens(prompt: Prompt, most: int) -> int:
    """Return a bound of what a prompt takes that costs next to nothing; it was built to take ``most``."""
    texts = (prompt.system, *(turn.content for turn in prompt.turns), *(p.text for p in prompt.passages))
    return min(most, sum(map(tokens_at_most, texts)))
