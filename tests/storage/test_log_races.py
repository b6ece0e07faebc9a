"""Moments between two steps of the log that only a race shows, held open by hand."""

import asyncio
from datetime import UTC, datetime

import pytest

from parlour.features.chat.log.reading import Log
from parlour.features.chat.store import accepting, runs
from parlour.features.chat.values import Lease, Outcome, Send
from parlour.features.people.store import remember
from parlour.infra.storage.database import WORKER
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.events import Entry, EventKind, Position
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role
from tests.harness.gates import OPEN, for_nothing
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

SOMEBODY = Principal(new_id(), Role.VISITOR)
FIRST, SECOND = Lease("first owner"), Lease("second owner")


async def test_a_late_reader_is_not_shown_the_end_twice_while_it_is_stored_and_not_yet_told(
    database_url: str,
) -> None:
    """The second owner has stored the end; a reader from before the takeover looks at that very moment."""
    database = open_database(database_url)
    log = Log(database)
    now = datetime.now(UTC)
    accepted = await database.write(
        SOMEBODY,
        lambda connection: accepting.accept(
            connection,
            SOMEBODY,
            Send("What?", "default"),
            lease=FIRST,
            title="What?",
            now=now,
            remember=remember,
            gate=OPEN,
        ),
    )
    run_id = accepted.run.id
    said = Entry(Position(1, 1), EventKind.TEXT, b'{"content":"one "}')
    await database.write(WORKER, lambda c: runs.append_events(c, FIRST, [(run_id, 1, [said])]))
    (run,) = await database.write(WORKER, lambda c: runs.take_over(c, SECOND, alone=True, besides=[]))
    live = log.open(run, "one ")
    live.append(EventKind.REWIND, {"length": 4})
    live.append_text("two")
    end = live.ending(EventKind.DONE, {"finishReason": "stop"})
    outcome = Outcome(content=live.text)
    await database.write(
        WORKER, lambda c: runs.finish(c, SECOND, run, outcome, end, now=now, settle=for_nothing)
    )

    seen: list[Entry] = []

    async def follow() -> None:
        async for entries in log.read(run, said.position):
            seen.extend(entries)

    following = asyncio.create_task(follow())
    await until(lambda: len(seen) >= 2, 5, "the reader has what was told")
    live.end(end)
    await asyncio.wait_for(following, 5)

    assert [entry.kind for entry in seen] == [EventKind.REWIND, EventKind.TEXT, EventKind.DONE]
    assert [entry.position for entry in seen] == [Position(2, 1), Position(2, 2), Position(2, 3)]
    await database.close()
