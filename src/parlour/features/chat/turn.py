"""One message, from being accepted to being answered. Read this first.

``accept`` keeps the message and begins a run; ``run`` answers it, as a task that belongs to no connection;
whoever wants to see the answer follows the log. Stages never call each other, and no transaction is open
while tokens flow.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import structlog

from parlour.features.chat.answer import Answerer, lost_attempt
from parlour.features.chat.log.live import LiveRun
from parlour.features.chat.log.reading import Log
from parlour.features.chat.outcomes import describe_failure, settle
from parlour.features.chat.schemas import end_event, outcome_row, start_event
from parlour.features.chat.store import accepting, runs
from parlour.features.chat.store.accepting import RememberPerson, Transaction
from parlour.features.chat.titles import first_words
from parlour.features.chat.values import (
    Accepted,
    Lease,
    LeaseLost,
    Outcome,
    Run,
    Said,
    Send,
    milliseconds_since,
)
from parlour.features.limits.rates import Admission
from parlour.features.limits.service import Limits
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import WORKER, Database, patiently
from parlour.llm.tokens import estimate_tokens
from parlour.vocabulary.errors import TooMany, Unavailable
from parlour.vocabulary.events import Entry, EventKind
from parlour.vocabulary.messages import FinishReason, MessageRole, Status
from parlour.vocabulary.principal import Principal

MOST_ASKED = 20_000  # runs whose askers are remembered: many times what one process answers at once
OWNERS_AT_MOST = 5  # a run that outlived so many owners probably ends them: it fails instead of trying on

_log = structlog.get_logger(__name__)

AfterTurn = Callable[[Run, Outcome, Principal | None], Coroutine[None, None, None]]


class Turns:
    """Accepts messages and runs the answers of this process."""

    def __init__(
        self,
        *,
        database: Database,
        log: Log,
        lease: Lease,
        answerer: Answerer,
        limits: Limits,
        metrics: Metrics,
        remember: RememberPerson,
        after_turn: AfterTurn,
    ) -> None:
        """Work as the owner that ``lease`` names; ``after_turn`` is told of every answered message."""
        self._database = database
        self._log = log
        self._lease = lease
        self._answerer = answerer
        self._limits = limits
        self._asked: OrderedDict[str, tuple[Principal, Admission]] = OrderedDict()
        self._metrics = metrics
        self._remember = remember
        self._after_turn = after_turn
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[str] = set()
        self.draining = False
        self._ending: set[str] = set()
        self._followers: set[asyncio.Task[None]] = set()

    async def accept(self, principal: Principal, send: Send) -> Accepted:
        """Keep a message, begin its answer, and return once both are durable."""
        principal = self._limits.with_plan(principal)
        now, title = datetime.now(UTC), first_words(send.text)
        gate = _Gate(self._limits, principal, partial(self._answerer.worst_case, principal), now)
        accepted = await self._admitted(
            principal,
            send,
            lambda connection: accepting.accept(
                connection,
                principal,
                send,
                lease=self._lease,
                title=title,
                now=now,
                remember=self._remember,
                gate=gate,
            ),
        )
        if not accepted.replayed:
            self._metrics.message(MessageRole.USER)
        return self._begun(accepted)

    async def accept_again(self, principal: Principal, message_id: str, send: Send) -> Accepted:
        """Begin another answer beside one that exists."""
        principal = self._limits.with_plan(principal)
        now = datetime.now(UTC)
        gate = _Gate(self._limits, principal, partial(self._answerer.worst_case, principal), now)
        accepted = await self._admitted(
            principal,
            send,
            lambda connection: accepting.accept_again(
                connection, principal, message_id, send, lease=self._lease, now=now, gate=gate
            ),
        )
        return self._begun(accepted)

    def start(self, run: Run, said: Sequence[Said] | None = None) -> None:
        """Answer a run that this process owns; what was ``said`` is read unless it is given."""
        live = self._log.open(run) if run.fence == 1 else None
        task = asyncio.create_task(self._run(run, live, said), name=f"run {run.id}")
        self._tasks[run.id] = task
        task.add_done_callback(lambda _: self._forget(run.id))

    def notice_stops(self, run_ids: set[str]) -> None:
        """Stop those of the runs that are answered here."""
        for run_id in run_ids - self._stopping:
            task = self._tasks.get(run_id)
            if task is not None:
                self._stopping.add(run_id)
                # Not before its first step: a task that is cancelled before it began never ends its run.
                asyncio.get_running_loop().call_soon(self._cancel, run_id, task)

    def let_go(self, run_ids: set[str]) -> None:
        """End those of the runs here that another owner has now; whoever reads them here follows that one.

        A run whose end is being stored is left alone: it finds out by itself, or it has just ended.
        """
        for run_id in run_ids - self._ending:
            live, task = self._log.live.get(run_id), self._tasks.get(run_id)
            if live is None or task is None:
                continue
            if not live.lost:
                _log.warning("run_lost", run_id=run_id, fence=live.run.fence)
                live.lose()
            task.cancel()

    @property
    def running(self) -> list[str]:
        """The runs that are answered here."""
        return list(self._tasks)

    def drain(self) -> None:
        """Begin nothing that waited: this process goes away."""
        self.draining = True

    async def finish_all(self, seconds: float) -> None:
        """Let answers in progress end for a while, then leave the rest to whoever takes them up."""
        deadline = time.monotonic() + seconds
        while tasks := {*self._tasks.values(), *self._followers}:
            _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - time.monotonic()))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _admitted(
        self, principal: Principal, send: Send, work: Callable[[Transaction], Accepted]
    ) -> Accepted:
        """Do ``work`` if the person's limits have room; what was accepted before is never refused."""
        tokens = sum(map(estimate_tokens, (send.text, *(turn.content for turn in send.earlier))))
        try:
            admission = await self._limits.admit(principal, session_id=send.session_id, tokens=tokens)
        except TooMany:
            known = await self._database.read(
                principal, lambda connection: accepting.replayed(connection, principal, send)
            )
            if known is None:
                raise
            return known
        accepted = await self._database.write(
            principal, lambda connection: self._with_what_was_said(connection, work(connection), send)
        )
        if not accepted.replayed:
            self._asked[accepted.run.id] = principal, admission
            if len(self._asked) > MOST_ASKED:  # others answered those, or they were stopped in line
                self._asked.popitem(last=False)
        return replace(accepted, admission=admission)

    def _with_what_was_said(self, connection: Transaction, accepted: Accepted, send: Send) -> Accepted:
        """Read along what a run that begins at once has to answer: that saves it a unit of work."""
        if not accepted.owned:
            return accepted
        if send.text and send.session_id is None and not send.earlier:  # a new session has nothing else
            only = Said(accepted.run.user_message_id, MessageRole.USER.value, send.text)
            return replace(accepted, said=[only])
        return replace(accepted, said=self._answerer.said(connection, accepted.run))

    def _cancel(self, run_id: str, task: asyncio.Task[None]) -> None:
        if run_id not in self._ending:
            task.cancel()

    def _forget(self, run_id: str) -> None:
        self._tasks.pop(run_id, None)
        self._stopping.discard(run_id)
        self._ending.discard(run_id)

    def _begun(self, accepted: Accepted) -> Accepted:
        if accepted.owned:
            self.start(accepted.run, accepted.said)
        return accepted

    async def _run(self, run: Run, live: LiveRun | None, said: Sequence[Said] | None) -> None:
        structlog.contextvars.bind_contextvars(run_id=run.id, session_id=run.session_id)
        outcome = Outcome()
        try:
            if live is None:
                kept = await patiently(lambda: self._log.kept(run))
                live = self._log.open(run, kept.text)
                outcome.lost = kept.asked
                # Until more is known of them: whatever ends this run, its ledger has them.
                outcome.attempts = [lost_attempt(run, asked) for asked in kept.asked]
            self._begin_log(run, live)
            await self._answerer.answer(run, live, outcome, said)
        except asyncio.CancelledError:
            if live is not None and live.lost:
                self._log.close(live)  # whoever has the run now says the rest
                return
            if run.id not in self._stopping or live is None:
                raise
            outcome.status, outcome.finish_reason = Status.STOPPED, FinishReason.STOPPED
        except LeaseLost:
            if live is not None:
                self._log.close(live)  # whoever has the run now says the rest
            return
        except Exception as error:  # noqa: BLE001 - whatever broke, the run ends in words, and the log has it
            outcome.status, outcome.error = Status.FAILED, describe_failure(error)
            self._metrics.error(outcome.error["code"])
        self._ending.add(run.id)  # too late to stop it: its end is being stored
        if live is not None:
            await self._finish(run, live, outcome)

    def _begin_log(self, run: Run, live: LiveRun) -> None:
        if run.fence > OWNERS_AT_MOST:
            raise Unavailable("The answer broke off several times. Your question is kept; try again.")
        if run.fence > 1:
            # Readers of an earlier owner may hold more than it got stored.
            live.append(EventKind.REWIND, {"length": live.length})
        live.append(*start_event(run))

    async def _finish(self, run: Run, live: LiveRun, outcome: Outcome) -> None:
        """Store how it came out, then show the end, then begin what waited for it."""
        try:
            try:
                following = await self._end(run, live, outcome)
            except (LeaseLost, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001 - what came with the answer cannot be stored: do without
                outcome = Outcome(
                    status=Status.FAILED,
                    error=describe_failure(error),
                    usage=outcome.usage,
                    cost_usd=outcome.cost_usd,
                    attempts=[replace(attempt, cause=None) for attempt in outcome.attempts],
                )
                following = await self._end(run, live, outcome)
        except (LeaseLost, Unavailable) as error:
            _log.warning("run_lost", fence=run.fence, cause=error.cause)
            live.lose()
            return
        finally:
            self._log.close(live)
        self._count(outcome)
        asker, admission = self._asked.pop(run.id, (None, None))
        if admission is not None and outcome.usage is not None:
            await self._limits.settle(admission, outcome.usage.total)
        if following is not None and not self.draining:
            self.start(following)
        follower = asyncio.create_task(self._after_turn(run, outcome, asker))
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)

    async def _end(self, run: Run, live: LiveRun, outcome: Outcome) -> Run | None:
        outcome.content = live.text
        outcome.latency_ms = milliseconds_since(run.created_at)
        settle(outcome)
        async with live.writing:
            entries = live.ending(*end_event(outcome_row(outcome)))
            following = await self._store_end(run, outcome, entries)
            live.end(entries)
        return following

    async def _store_end(self, run: Run, outcome: Outcome, entries: list[Entry]) -> Run | None:
        now = datetime.now(UTC)
        return await patiently(
            lambda: self._database.write(
                WORKER,
                lambda connection: runs.finish(
                    connection,
                    self._lease,
                    run,
                    outcome,
                    entries,
                    now=now,
                    settle=self._limits.budgets.settle,
                ),
            )
        )

    def _count(self, outcome: Outcome) -> None:
        self._metrics.message(MessageRole.ASSISTANT)
        self._metrics.run_ended(outcome.status)
        self._metrics.stage("total", (outcome.latency_ms or 0) / 1000)
        _log.info(
            "run_ended",
            status=outcome.status.value,
            model=outcome.model,
            latency_ms=outcome.latency_ms,
            ttft_ms=outcome.ttft_ms,
            error=outcome.error and outcome.error["code"],
        )


class _Gate:
    """The limits, where a message is accepted."""

    def __init__(
        self,
        limits: Limits,
        principal: Principal,
        worst_case: Callable[[Run, str], Decimal],
        now: datetime,
    ) -> None:
        """Reserve what ``worst_case`` says, in US dollars, of the run and the text that it answers."""
        self._limits = limits
        self._principal = principal
        self._worst_case = worst_case
        self._now = now

    def check_session(self, tokens_used: int) -> None:
        self._limits.check_session(tokens_used)

    def reserve(self, connection: Transaction, run: Run, text: str) -> None:
        budgets = self._limits.budgets
        if budgets.apply(self._principal, run.assistant_id):
            worst = self._worst_case(run, text)
            budgets.reserve(connection, self._principal, run.id, run.assistant_id, worst, self._now)
