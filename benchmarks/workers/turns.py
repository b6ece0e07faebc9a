"""What storing a turn costs, without any web around it.

    python -m benchmarks.workers.turns DATABASE_URL SECONDS

Sixteen clients, each in a conversation of its own, keep a message, then its answer with the events that were
not stored yet: the two units of work that a turn cannot do without. Every commit is durable. Prints JSON.
"""

import asyncio
import json
import resource
import sys
import time
from datetime import UTC, datetime

import orjson
import uvloop

from parlour.features.chat.schemas import end_event, outcome_row, start_event
from parlour.features.chat.store import accepting, runs
from parlour.features.chat.values import Lease, Outcome, Run, Send
from parlour.features.limits.budgets import Budgets, Ceilings
from parlour.features.limits.plans import Plans
from parlour.features.people.store import remember
from parlour.infra.garbage import spare_what_stays
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.events import Entry, EventKind, Position
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.messages import FinishReason, Status
from parlour.vocabulary.principal import Principal, Role
from parlour.vocabulary.usage import Usage
from tests.harness.gates import OPEN

# What a turn's ledger costs is a part of the turn.
SETTLE = Budgets(Ceilings(), Plans(60, 100_000)).settle
CLIENTS = 16
WARM_UP_TURNS = 320  # every connection has every statement prepared by then
QUESTION = "How do I connect a model of my own, and what happens to the answers that are under way?"
WORDS = [f" word{number:02d}" for number in range(100)]
UNSTORED = 10  # words said since the journal last wrote: 100 ms of a fast model


class _Client:
    """One person in one conversation."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self._principal = Principal(new_id(), Role.VISITOR)
        self._session: str | None = None

    async def turn(self) -> None:
        """Keep a message, and then its answer."""
        send = Send(
            text=QUESTION,
            assistant_id="default",
            session_id=self._session,
            client_message_id=new_id(),
            fingerprint="0" * 64,
        )
        accepted = await self._database.write(
            self._principal,
            lambda connection: accepting.accept(
                connection,
                self._principal,
                send,
                lease=self._lease,
                title="A question",
                now=datetime.now(UTC),
                remember=remember,
                gate=OPEN,
            ),
        )
        run = accepted.run
        self._session = run.session_id
        outcome = _outcome()
        entries = _entries(run, outcome)
        await self._database.write(
            WORKER,
            lambda connection: runs.finish(
                connection, self._lease, run, outcome, entries, now=datetime.now(UTC), settle=SETTLE
            ),
        )


def _outcome() -> Outcome:
    return Outcome(
        status=Status.COMPLETED,
        finish_reason=FinishReason.STOP,
        content="".join(WORDS),
        agent="Parlour",
        model="bench",
        provider="openai_compatible",
        usage=Usage(input_tokens=100, output_tokens=100),
        attempts=[
            Attempt(
                provider="openai_compatible",
                model="bench",
                status=AttemptStatus.ANSWERED,
                why="You asked for it.",
                started_at=datetime.now(UTC),
                usage=Usage(input_tokens=100, output_tokens=100),
            )
        ],
        latency_ms=1000,
        ttft_ms=100,
    )


def _entries(run: Run, outcome: Outcome) -> list[Entry]:
    said = [(EventKind.TEXT, {"content": word}) for word in WORDS[:UNSTORED]]
    events = [start_event(run), *said, end_event(outcome_row(outcome))]
    return [
        Entry(Position(run.fence, place), kind, orjson.dumps(data))
        for place, (kind, data) in enumerate(events, start=1)
    ]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(url: str, seconds: float) -> dict[str, float]:
    """Return turns per second and the CPU microseconds of a turn."""
    database = open_database(url)
    await database.migrate()
    lease = Lease(owner=new_id())
    counted, ended = 0, False
    warm = asyncio.Event()

    async def work() -> None:
        nonlocal counted
        client = _Client(database, lease)
        while not ended:
            await client.turn()
            counted += 1
            if counted >= WARM_UP_TURNS:
                warm.set()

    clients = [asyncio.create_task(work()) for _ in range(CLIENTS)]
    await warm.wait()
    spare_what_stays()  # as the server does once it has started
    before, cpu, began = counted, _cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    turns, cpu, took = counted - before, _cpu() - cpu, time.monotonic() - began
    ended = True
    await asyncio.gather(*clients)
    await database.close()
    return {"turns_per_second": turns / took, "cpu_us_per_turn": cpu / turns * 1e6}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(measure(sys.argv[1], float(sys.argv[2])))))
