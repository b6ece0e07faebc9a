"""One answer: look things up, choose who speaks, build the prompt, and let the agent speak into the log."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from parlour.features.assistants.loop import Cited, loop
from parlour.features.assistants.service import Agent, Assistants
from parlour.features.chat.log.live import LiveRun
from parlour.features.chat.schemas import citation_json, meta_event, outcome_row
from parlour.features.chat.store import sessions
from parlour.features.chat.values import Outcome, Run
from parlour.features.context.window import Budget, build
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import WORKER, Database
from parlour.llm.model import Finish, Text, Turn
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.events import EventKind
from parlour.vocabulary.messages import MessageRole

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

    async def answer(self, run: Run, live: LiveRun, outcome: Outcome) -> None:
        """Search, build the prompt, and let the agent speak into the log."""
        agent = self._assistants.choose(run.assistant_id, run.model)
        outcome.agent, outcome.model, outcome.provider = agent.name, agent.model.name, agent.model.provider
        turns = await self._history(run)
        live.append(EventKind.STATUS, {"stage": "searching"})
        begun = time.perf_counter()
        earlier = [turn.content for turn in turns[:-1] if turn.role == "user"]
        passages = await self._knowledge.search(turns[-1].content, earlier=earlier)
        self._metrics.stage("searching", time.perf_counter() - begun)
        outcome.prompt = prompt = build(
            system=agent.system_prompt, turns=turns, passages=passages, budget=self._budget, partial=live.text
        )
        live.append(*meta_event(outcome_row(outcome)))
        live.append(EventKind.STATUS, {"stage": "waiting"})
        async with aclosing(loop(agent, prompt)) as events:
            async for event in events:
                if isinstance(event, Text):
                    if outcome.ttft_ms is None:
                        self._first_word(run, agent, outcome)
                    live.append_text(event.content)
                elif isinstance(event, Cited):
                    outcome.citations.append(event.citation)
                    live.append(EventKind.CITATION, citation_json(event.citation))
                elif isinstance(event, Finish):
                    outcome.finish_reason, outcome.usage = event.reason, event.usage

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

    def _first_word(self, run: Run, agent: Agent, outcome: Outcome) -> None:
        outcome.ttft_ms = milliseconds_since(run.created_at)
        self._metrics.first_token(agent.model.provider, outcome.ttft_ms / 1000)


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
