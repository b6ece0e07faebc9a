"""What a turn costs does not grow with the conversation: the statements are counted, at the drivers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from parlour.features.chat import tables
from parlour.infra.storage.database import WORKER
from parlour.vocabulary.ids import new_id
from tests.fakes.provider import FakeProvider
from tests.harness import serving as harness
from tests.harness.databases import BACKENDS, MakeUrl
from tests.harness.serving import PATIENCE, Person, serving
from tests.harness.tables import statements

pytestmark = pytest.mark.anyio


@dataclass
class Counted:
    """A server that does nothing by itself, and somebody who uses it."""

    person: Person
    seen: list[str]

    async def cost(self, call: Callable[[], Awaitable[object]]) -> list[str]:
        """Return the statements that a call takes, those after its answer included."""
        await self.person.served.parlour.turns.finish_all(PATIENCE)
        self.seen.clear()
        await call()
        await self.person.served.parlour.turns.finish_all(PATIENCE)
        return list(self.seen)


@pytest.fixture(scope="module", params=BACKENDS)
async def counted(
    request: pytest.FixtureRequest,
    anyio_backend: str,
    provider: FakeProvider,
    make_url: MakeUrl,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Counted]:
    """A server whose background work stands still, with every statement counted."""
    url, folder = make_url(request.param), tmp_path_factory.mktemp("parlour")
    with statements() as seen:
        async with serving(harness.settings(folder, url=url, provider=provider)) as served:
            await served.owner_invited()
            for task in served.parlour._background:
                task.cancel()
            person = await served.visitor()
            await person.send("Warm up [[n=2]]")
            yield Counted(person, seen)


async def grown(person: Person, count: int) -> str:
    """Return a session with ``count`` messages in one line, as if they had been said."""
    session = await person.session()
    begun = datetime.now(UTC) - timedelta(days=1)
    ids = [new_id() for _ in range(count)]
    said: list[dict[str, Any]] = [
        {
            "id": message_id,
            "session_id": session,
            "person_id": person.id,
            "parent_id": parent,
            "role": "assistant" if number % 2 else "user",
            "content": f"What was said as number {number}.",
            "status": "completed",
            "created_at": begun + timedelta(seconds=number),
        }
        for number, (message_id, parent) in enumerate(zip(ids, [None, *ids[:-1]], strict=True))
    ]

    def store(connection: Connection) -> None:
        for start in range(0, count, 500):
            connection.execute(insert(tables.messages), said[start : start + 500])
        connection.execute(
            update(tables.sessions)
            .where(tables.sessions.c.id == session)
            .values(leaf_id=ids[-1], message_count=count, title="Long", title_by="person")
        )

    await person.served.parlour.database.write(WORKER, store)
    return session


async def costs_in(counted: Counted, session: str) -> dict[str, int]:
    """Return how many statements each thing takes that people do in a session."""
    person, address = counted.person, f"/api/chat/sessions/{session}"
    reply: dict[str, Any] = {}

    async def send() -> None:
        reply.update(await person.send("And now? [[n=3]]", sessionId=session))

    async def regenerate() -> None:
        await person.ok("POST", f"/api/chat/messages/{reply['messageId']}/regenerate")

    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "send": send,
        "open": lambda: person.ok("GET", address),
        "read": lambda: person.messages(session),
        "page": lambda: person.ok("GET", f"{address}/messages?limit=5"),
        "follow": lambda: person.ended(reply["runId"]),
        "regenerate": regenerate,
    }
    return {name: len(await counted.cost(call)) for name, call in calls.items()}


async def test_a_session_of_ten_thousand_messages_costs_what_one_of_ten_does(counted: Counted) -> None:
    """C-11: sending, opening, following, paging"""
    small = await costs_in(counted, await grown(counted.person, 10))
    large = await costs_in(counted, await grown(counted.person, 10_000))
    assert large == small
    assert large["send"] <= 20
    assert large["read"] <= 5
    assert large["open"] <= 2


async def test_a_list_takes_one_statement_however_long_it_is(counted: Counted) -> None:
    """C-11"""
    person = await counted.person.served.visitor()
    for _ in range(2):
        await person.session()
    few = await counted.cost(person.sessions)
    for _ in range(18):
        await person.session()
    many = await counted.cost(person.sessions)
    assert len(await person.sessions()) == 20
    assert len(few) == len(many) == 1


async def test_a_repeated_send_takes_no_more_than_looking_it_up(counted: Counted) -> None:
    """C-7, C-11"""
    body = {"message": "Once [[n=2]]", "clientMessageId": "the-same"}
    await counted.person.send(**body)
    again = await counted.cost(lambda: counted.person.send(**body))
    assert not [sent for sent in again if not sent.lstrip().upper().startswith("SELECT")]


async def test_a_turn_writes_each_word_once(counted: Counted) -> None:
    """C-11: a long answer does not write itself again and again"""
    short = await counted.cost(lambda: counted.person.send("Short [[n=5]]"))
    long = await counted.cost(lambda: counted.person.send("Long [[n=400]]"))
    assert len(long) == len(short)
