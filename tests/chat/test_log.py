"""The log of a run under every order of saying, storing, losing and taking over, on both databases.

Two owners share a run that only one of them has at a time; readers look in at any moment. Whatever happens,
a stale owner changes nothing, and every reader ends up with the stored text.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select, update

from parlour.features.chat import tables
from parlour.features.chat.log.live import LiveRun, StreamCut
from parlour.features.chat.log.reading import Log
from parlour.features.chat.schemas import end_event, outcome_row, start_event
from parlour.features.chat.store import accepting, runs
from parlour.features.chat.values import Accepted, Lease, LeaseLost, Outcome, Run, Send
from parlour.features.people.store import remember
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.events import BEGINNING, Entry, EventKind, Position, text_after
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.messages import FinishReason, Status
from parlour.vocabulary.principal import Principal
from tests.harness.databases import MakeUrl
from tests.harness.gates import OPEN, for_nothing

pytestmark = pytest.mark.anyio

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=4)
says = st.tuples(st.just("say"), texts)
others = st.sampled_from(["journal", "stale journal", "take over", "look"]).map(lambda name: (name, ""))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with the newest schema."""
    opened = open_database(database_url)
    yield opened
    await opened.close()


async def accept(
    database: Database, lease: Lease, *, principal: Principal | None = None, session_id: str | None = None
) -> Accepted:
    """Keep a message and its run."""
    who = principal or Principal(new_id())
    send = Send(text="What now?", assistant_id="default", session_id=session_id)
    return await database.write(
        who,
        lambda c: accepting.accept(
            c, who, send, lease=lease, title="What", now=datetime.now(UTC), remember=remember, gate=OPEN
        ),
    )


async def expire(database: Database, run: Run) -> None:
    """Let the lease of a run have run out."""
    await database.write(
        WORKER,
        lambda c: (
            c.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(lease_until=0)).rowcount
        ),
    )


async def take(database: Database, lease: Lease, *, alone: bool = False) -> list[Run]:
    return await database.write(WORKER, lambda c: runs.take_over(c, lease, alone=alone, besides=[]))


async def everything(database: Database, run: Run) -> list[Any]:
    """Return all that is stored of a run."""

    def read(connection: Connection) -> list[Any]:
        queries = (
            select(tables.runs).where(tables.runs.c.id == run.id),
            select(tables.messages).where(tables.messages.c.session_id == run.session_id),
            select(tables.run_events).where(tables.run_events.c.run_id == run.id),
        )
        return [sorted(map(tuple, connection.execute(query)), key=str) for query in queries]

    return await database.read(WORKER, read)


async def finish(
    database: Database, lease: Lease, run: Run, live: LiveRun, status: Status = Status.COMPLETED
) -> Run | None:
    """End a run as its owner would."""
    outcome = Outcome(status=status, finish_reason=FinishReason.STOP, content=live.text)
    entries = live.ending(*end_event(outcome_row(outcome)))
    return await database.write(
        WORKER,
        lambda c: runs.finish(c, lease, run, outcome, entries, now=datetime.now(UTC), settle=for_nothing),
    )


@dataclass
class Reader:
    """What somebody holds who reads a run."""

    text: str = ""
    position: Position = BEGINNING
    seen: list[Position] = field(default_factory=list)

    def take(self, entries: list[Entry]) -> None:
        for entry in entries:
            assert entry.position > self.position, "in order, and nothing twice"
            self.text = text_after(self.text, entry)
            self.position = entry.position


@dataclass
class Rig:
    """A run, its owner of the moment, the owner before, and those who read along."""

    database: Database
    leases: list[Lease]
    run: Run
    lives: list[LiveRun]
    readers: list[Reader] = field(default_factory=lambda: [Reader()])
    expected: str = ""

    @classmethod
    async def begin(cls, database: Database) -> "Rig":
        leases = [Lease(new_id()), Lease(new_id())]
        run = (await accept(database, leases[0])).run
        live = LiveRun(run, "")
        live.append(*start_event(run))
        return cls(database, leases, run, [live])

    @property
    def live(self) -> LiveRun:
        return self.lives[-1]

    @property
    def lease(self) -> Lease:
        return self.leases[len(self.lives) % 2 - 1]

    async def journal(self, live: LiveRun, lease: Lease) -> bool:
        batch = [(live.run.id, live.run.fence, live.unstored)]
        if not live.unstored:
            return True
        ours = await self.database.write(WORKER, lambda c: runs.append_events(c, lease, batch))
        if live.run.id in ours:
            live.stored += len(batch[0][2])
            return True
        live.lose()
        return False

    async def do(self, name: str, text: str) -> None:
        match name:
            case "say":
                self.live.append_text(text)
            case "journal":
                assert await self.journal(self.live, self.lease)
            case "stale journal" if len(self.lives) > 1:
                before = await everything(self.database, self.run)
                for place, stale in enumerate(self.lives[:-1]):
                    stale.lost = False  # it has not noticed yet
                    stale.append_text("too late")
                    assert not await self.journal(stale, self.leases[place % 2])
                    with pytest.raises(LeaseLost):
                        stale.append_text("too late")
                assert await everything(self.database, self.run) == before
            case "take over":
                await self.take_over()
            case "look":
                await self.look()
            case _:
                pass

    async def take_over(self) -> None:
        await expire(self.database, self.run)
        successor = self.leases[len(self.lives) % 2]
        (run,) = [each for each in await take(self.database, successor) if each.id == self.run.id]
        assert run.fence == self.live.run.fence + 1
        self.run = run
        live = LiveRun(run, (await Log(self.database).kept(run)).text)
        live.append(EventKind.REWIND, {"length": live.length})
        live.append(*start_event(run))
        self.lives.append(live)

    async def look(self) -> None:
        """Let everybody read all there is, and somebody new begin."""
        log = Log(self.database)
        log.live[self.run.id] = self.live
        log.drain()  # each reading gives what there is and ends
        end = Position(self.run.fence, self.live.shown)
        for reader in self.readers:
            while reader.position < end:
                with suppress(StreamCut):
                    async with aclosing(log.read(self.run, reader.position)) as batches:
                        async for entries in batches:
                            reader.take(entries)
            assert reader.text == self.live.text, "who has read everything holds what was said"
        self.readers.append(Reader())

    async def end(self) -> str:
        """End the run, and let every reader go on elsewhere."""
        before = await everything(self.database, self.run)
        for place, stale in enumerate(self.lives[:-1]):  # the first of three has the owner of the last
            with pytest.raises(LeaseLost):
                await finish(self.database, self.leases[place % 2], stale.run, stale)
        assert await everything(self.database, self.run) == before
        await finish(self.database, self.lease, self.run, self.live)
        stored = await self.database.read(
            WORKER,
            lambda c: c.execute(
                select(tables.messages.c.content).where(tables.messages.c.id == self.run.message_id)
            ).scalar_one(),
        )
        for reader in self.readers:
            async with aclosing(Log(self.database).read(self.run, reader.position)) as batches:
                async for entries in batches:
                    reader.take(entries)
            assert reader.text == stored
        return str(stored)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(says | others, max_size=14))
@example(steps=[("say", "a"), ("look", ""), ("take over", ""), ("say", "b")])
@example(steps=[("say", "a"), ("journal", ""), ("say", "\U0001f600"), ("look", ""), ("take over", "")])
@example(steps=[("say", "a"), ("take over", ""), ("take over", ""), ("stale journal", ""), ("look", "")])
async def test_in_any_order_of_events_every_reader_ends_up_with_the_stored_text(
    database: Database, steps: list[tuple[str, str]]
) -> None:
    """C-3, C-4, B-1, P-07"""
    rig = await Rig.begin(database)
    for name, text in steps:
        await rig.do(name, text)
    said = rig.live.text
    assert await rig.end() == said


async def test_the_same_events_may_be_stored_again_with_more_behind_them(database: Database) -> None:
    """C-3: when nobody learnt whether a write was kept"""
    rig = await Rig.begin(database)
    for word in ("one ", "two "):
        rig.live.append_text(word)
    assert await rig.journal(rig.live, rig.lease)
    rig.live.stored = 1
    rig.live.append_text("three")
    rig.live.stored = 0
    assert await rig.journal(rig.live, rig.lease)
    assert (await Log(database).kept(rig.run)).text == "one two three"
    rig.live.stored = 0
    assert await rig.end() == "one two three"


async def test_a_run_ends_once(database: Database) -> None:
    """P-03"""
    rig = await Rig.begin(database)
    rig.live.append_text("once")
    await finish(database, rig.lease, rig.run, rig.live)
    before = await everything(database, rig.run)
    with pytest.raises(LeaseLost):
        await finish(database, rig.lease, rig.run, rig.live, Status.FAILED)
    batch = [(rig.run.id, rig.run.fence, rig.live.unstored)]
    assert await database.write(WORKER, lambda c: runs.append_events(c, rig.lease, batch)) == set()
    assert await everything(database, rig.run) == before


async def test_only_one_of_many_takes_an_orphan(database: Database) -> None:
    """C-3, P-04"""
    first, lease = await accept(database, Lease(new_id())), [Lease(new_id()) for _ in range(8)]
    assert await take(database, lease[0]) == [], "its lease holds"
    await expire(database, first.run)
    taken = await asyncio.gather(*(take(database, each) for each in lease))
    ((won,),) = [runs for runs in taken if runs]
    assert (won.id, won.fence) == (first.run.id, 2)


async def test_a_server_that_is_alone_takes_every_foreign_run_at_once(database: Database) -> None:
    """C-3: after a crash on the embedded database nobody else can be alive"""
    mine, foreign = Lease(new_id()), Lease(new_id())
    own, other = await accept(database, mine), await accept(database, foreign)
    assert [run.id for run in await take(database, mine, alone=True)] == [other.run.id]
    assert own.run.fence == 1


async def test_what_was_let_go_can_be_taken_at_once(database: Database) -> None:
    """C-3, O-6: a clean stop hands over without waiting for the lease"""
    mine, other = Lease(new_id()), Lease(new_id())
    run = (await accept(database, mine)).run
    await database.write(WORKER, lambda c: runs.release(c, mine))
    assert [each.id for each in await take(database, other)] == [run.id]


async def test_a_lease_is_renewed_by_its_owner_only(database: Database) -> None:
    """P-04"""
    mine, other = Lease(new_id()), Lease(new_id())
    run = (await accept(database, mine)).run
    await expire(database, run)
    assert await database.write(WORKER, lambda c: runs.renew(c, other, [run.id])) == {}
    assert [each.id for each in await take(database, other)] == [run.id]
    await expire(database, run)
    assert await database.write(WORKER, lambda c: runs.renew(c, mine, [run.id])) == {}
    assert await database.write(WORKER, lambda c: runs.renew(c, other, [run.id])) == {run.id: False}
    assert await take(database, mine) == []


async def test_the_next_run_of_a_session_begins_with_the_end_of_the_one_before(database: Database) -> None:
    """C-8: it is the owner's in the same transaction"""
    lease, who = Lease(new_id()), Principal(new_id())
    first = await accept(database, lease, principal=who)
    waiting = [
        await accept(database, lease, principal=who, session_id=first.run.session_id) for _ in range(2)
    ]
    assert [each.run.status for each in (first, *waiting)] == [Status.STREAMING, *[Status.PENDING] * 2]
    assert await take(database, Lease(new_id())) == [], "they wait for what is under way"
    following = await finish(database, lease, first.run, LiveRun(first.run, ""))
    assert following is not None
    assert (following.id, following.fence, following.status) == (waiting[0].run.id, 1, Status.STREAMING)
    last = await finish(database, lease, following, LiveRun(following, ""))
    assert last is not None
    assert last.id == waiting[1].run.id


async def test_a_waiting_run_with_an_older_id_waits_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-8, F-097: another server's clock may be behind"""
    lease, who, old = Lease(new_id()), Principal(new_id()), [new_id() for _ in range(8)]
    first = await accept(database, lease, principal=who)
    monkeypatch.setattr(accepting, "new_id", lambda: old.pop(0))
    second = await accept(database, lease, principal=who, session_id=first.run.session_id)
    assert second.run.id < first.run.id
    assert await take(database, Lease(new_id())) == []
    await finish(database, lease, first.run, LiveRun(first.run, "said"))


async def test_sends_to_one_session_from_two_servers_make_one_line(make_url: MakeUrl) -> None:
    """C-8, F-053: each with connections of its own"""
    url = make_url("postgres")
    databases = [open_database(url) for _ in range(2)]
    who = Principal(new_id())
    first = await accept(databases[0], Lease(new_id()), principal=who)
    await asyncio.gather(
        *(
            accept(databases[n % 2], Lease(f"server {n % 2}"), principal=who, session_id=first.run.session_id)
            for n in range(12)
        )
    )
    counted = await databases[0].read(
        WORKER,
        lambda c: c.execute(
            select(func.count(), func.count(tables.messages.c.parent_id.distinct())).where(
                tables.messages.c.session_id == first.run.session_id
            )
        ).one(),
    )
    assert tuple(counted) == (26, 25), "every message has a parent of its own, but the first"
    for each in databases:
        await each.close()


async def test_a_lost_run_lets_its_model_go(database: Database) -> None:
    """P-04: an owner that has lost its run says nothing more"""
    rig = await Rig.begin(database)
    rig.live.append_text("kept")
    assert await rig.journal(rig.live, rig.lease)
    await rig.take_over()
    lost = rig.lives[0]
    lost.append_text("shown, never stored")
    assert not await rig.journal(lost, rig.leases[0])
    with pytest.raises(LeaseLost):
        lost.append(EventKind.STATUS, {})
    assert rig.live.text == "kept"
