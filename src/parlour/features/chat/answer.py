"""One answer: look things up, choose who speaks, build the prompt, and let the agent speak into the log."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from parlour.features.assistants.loop import Cited, loop
from parlour.features.assistants.service import Agent, Assistant, Assistants
from parlour.features.chat.log.live import LiveRun
from parlour.features.chat.schemas import citation_json, meta_event, outcome_row
from parlour.features.chat.store import sessions
from parlour.features.chat.values import Outcome, Run, Send
from parlour.features.context.window import Budget, build
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import WORKER, Database
from parlour.llm.model import Chosen, Finish, Prompt, Text, Turn
from parlour.llm.orchestra.routing import Choice, Wish
from parlour.llm.tokens import estimate_tokens, tokens_at_most
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.events import EventKind
from parlour.vocabulary.messages import MessageRole
from parlour.vocabulary.principal import Principal

STORAGE_RETRY_SECONDS = 0.5
STORAGE_PATIENCE_SECONDS = 30.0  # P-21: an answer waits so long in memory for a database that is away

T = TypeVar("T")


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
        budget: Budget,
        metrics: Metrics,
    ) -> None:
        """Let ``assistants`` answer from what ``knowledge`` finds, within ``budget``."""
        self._database = database
        self._assistants = assistants
        self._knowledge = knowledge
        self._budget = budget
        self._metrics = metrics

    def worst_case(self, principal: Principal, send: Send) -> Decimal:
        """Return the most US dollars that an answer can cost. Raises what tells why nobody can give it."""
        choice = self._choose(send.assistant_id, send.model, principal, send.text)
        return self._assistants.models.worst_case_usd(choice, prompt_tokens=self._budget.tokens)

    async def answer(self, run: Run, live: LiveRun, outcome: Outcome) -> None:
        """Choose who answers, search, build the prompt, and let the agent speak into the log."""
        turns = await self._history(run)
        assistant = self._assistants.in_charge(run.assistant_id)
        asker = Principal(run.person_id, plan=run.plan, key_id=run.key_id)
        choice = self._choose(run.assistant_id, run.model, asker, turns[-1].content)
        self._tell_choice(live, outcome, assistant.name, choice)
        passages = await self._found(live, turns)
        outcome.prompt = prompt = self._prompt(choice, assistant, turns, passages, partial=live.text)
        live.append(EventKind.STATUS, {"stage": "waiting"})
        answering = self._assistants.models.answering(
            replace(choice, prompt_tokens=bounded_tokens(prompt, self._budget.tokens)),
            scope=run.person_id,
        )
        outcome.attempts = answering.ledger
        try:
            await self._speak(Agent(assistant.name, assistant.system_prompt, answering), run, live, outcome)
        finally:
            outcome.usage, outcome.cost_usd = answering.usage, answering.cost_usd

    async def _speak(self, agent: Agent, run: Run, live: LiveRun, outcome: Outcome) -> None:
        assert outcome.prompt is not None  # noqa: S101 - built a moment ago
        async with aclosing(loop(agent, outcome.prompt)) as events:
            async for event in events:
                if isinstance(event, Text):
                    if outcome.ttft_ms is None:
                        self._first_word(run, outcome)
                    live.append_text(event.content)
                elif isinstance(event, Cited):
                    outcome.citations.append(event.citation)
                    live.append(EventKind.CITATION, citation_json(event.citation))
                elif isinstance(event, Chosen):
                    self._tell(live, outcome, event)
                elif isinstance(event, Finish):
                    outcome.finish_reason = event.reason

    def _choose(self, assistant_id: str, model: str | None, asker: Principal, text: str) -> Choice:
        models = self._assistants.models
        always = (self._assistants.in_charge(assistant_id).system_prompt, text)
        wish = Wish(
            model=model,
            text=text,
            streaming=True,
            prompt_tokens=sum(map(estimate_tokens, always)),
            allowed=models.allowed(asker),
        )
        return models.choose(wish)

    def _tell_choice(self, live: LiveRun, outcome: Outcome, agent: str, choice: Choice) -> None:
        outcome.agent = agent
        first = choice.first.model
        self._tell(live, outcome, Chosen(first.provider, first.name, choice.why))

    @staticmethod
    def _tell(live: LiveRun, outcome: Outcome, chosen: Chosen) -> None:
        """Tell readers who speaks from here on, unless they know."""
        if (outcome.provider, outcome.model) == (chosen.provider, chosen.model):
            return
        outcome.provider, outcome.model, outcome.why = chosen.provider, chosen.model, chosen.why
        live.append(*meta_event(outcome_row(outcome)))

    async def _found(self, live: LiveRun, turns: Sequence[Turn]) -> tuple[Passage, ...]:
        live.append(EventKind.STATUS, {"stage": "searching"})
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

    async def _history(self, run: Run) -> list[Turn]:
        rows = await patiently(
            lambda: self._database.read(
                WORKER,
                lambda connection: sessions.history(
                    connection, run.session_id, run.user_message_id, self._budget.messages + 1
                ),
            )
        )
        return [
            Turn("user" if row.role == MessageRole.USER.value else "assistant", row.content)
            for row in rows
            if row.content
        ]

    def _first_word(self, run: Run, outcome: Outcome) -> None:
        outcome.ttft_ms = milliseconds_since(run.created_at)
        self._metrics.first_token(outcome.provider or "", outcome.ttft_ms / 1000)


def bounded_tokens(prompt: Prompt, most: int) -> int:
    """Return a bound of what a prompt takes that costs next to nothing; it was built to take ``most``."""
    texts = (prompt.system, *(turn.content for turn in prompt.turns), *(p.text for p in prompt.passages))
    return min(most, sum(map(tokens_at_most, texts)))


async def patiently(work: Callable[[], Coroutine[None, None, T]]) -> T:
    """Do a unit of work; a database that is away is asked again, until patience ends."""
    deadline = time.monotonic() + STORAGE_PATIENCE_SECONDS
    while True:
        try:
            return await work()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(STORAGE_RETRY_SECONDS)


def milliseconds_since(moment: datetime) -> int:
    """Return how long ago a moment was, never less than nothing: clocks may be set."""
    return max(0, round((datetime.now(UTC) - moment).total_seconds() * 1000))
