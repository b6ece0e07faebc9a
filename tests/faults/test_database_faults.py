"""The database is slow, locked, away, or comes late: nothing acknowledged is lost, nobody hangs."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.fakes.chat_wire import answer_pieces
from tests.fakes.provider import FakeProvider
from tests.fakes.script import script_of
from tests.faults.rig import Rig, model_settings, rig
from tests.harness.client import Api, Told
from tests.harness.databases import MakeUrl
from tests.harness.process import ServerProcess
from tests.harness.proxy import Proxy
from tests.harness.waiting import until
from tests.services.postgres import PostgresServer, execute

pytestmark = pytest.mark.anyio

REFUSED_SECONDS = 2.0  # P-21
RECOVERED_SECONDS = 5.0
CUTS = 12
SLACK = 4.0  # for a machine where many tests run


def whole(question: str) -> str:
    """What the model answers when it is well."""
    return "".join(answer_pieces(question, script_of("fake", question), []))


async def test_a_file_that_another_program_holds_is_a_reason_to_try_again(tmp_path: Path) -> None:
    """F-064: after the 5 s that a backup may take; reading goes on all the time, and so do answers."""
    question = "Locked? [[n=30;dt=20ms]]"
    async with rig(tmp_path) as live:
        told = Told()
        follows = asyncio.create_task(follow(live, question, told))
        await until(lambda: "-3 " in told.text, 10, "the first words are there")
        assert told.start is not None
        with closing(live.lock) as lock:
            lock.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            status, problem, headers = await live.api.send("Now?", clientMessageId="one")
            assert (status, problem["code"], problem["retryable"]) == (503, "unavailable", True)
            assert int(headers["Retry-After"]) > 0
            assert time.monotonic() - begun < 5 + SLACK
            assert len(await live.api.history(told.start["sessionId"])) == 2
            assert told.end is None, "the end is not shown before it is stored"
        await asyncio.wait_for(follows, 15)
        assert told.text == whole(question)
        status, _, headers = await live.api.send("Now?", clientMessageId="one")
        assert (status, headers.get("Idempotent-Replayed")) == (200, None)


async def follow(live: Rig, question: str, told: Told) -> None:
    """Read on one connection for as long as it lasts."""
    async with aclosing(live.api.stream(question, told)) as frames:
        async for _ in frames:
            pass


@dataclass(slots=True)
class Behind:
    """A server that reaches its PostgreSQL through a proxy."""

    live: Rig
    proxy: Proxy
    url: str
    """Of the database itself, past the proxy."""


@asynccontextmanager
async def behind_a_proxy(folder: Path, url: str) -> AsyncGenerator[Behind, None]:
    """A server, launched and not waited for, whose database is not there yet."""
    direct = make_url(url).set(drivername="postgresql")
    assert direct.host is not None
    assert direct.port is not None
    async with Proxy(direct.host, direct.port) as proxy, FakeProvider() as provider:
        through = direct.set(port=proxy.port, host="127.0.0.1").render_as_string(hide_password=False)
        settings = model_settings(provider) | {"PARLOUR_DATABASE_URL": through}
        async with ServerProcess(folder / "data", environment=settings) as server:
            await server.launch()
            await until(lambda: lives(server), 40, "the server is there")
            async with Api(server.url) as api:
                yield Behind(Rig(server, provider, api), proxy, direct.render_as_string(hide_password=False))


async def lives(server: ServerProcess) -> bool:
    """Tell whether anybody listens."""
    return await server.status("/livez") == 200


@pytest.fixture
def url(make_url: MakeUrl) -> str:
    """A PostgreSQL database that is this test's alone."""
    return make_url("postgres")


async def test_a_database_that_comes_late_is_waited_for_and_one_that_goes_is_missed_no_longer_than_needed(
    tmp_path: Path, url: str
) -> None:
    """F-057, F-058, P-21: it is away at the start, and again in the middle of an answer."""
    async with behind_a_proxy(tmp_path, url) as behind:
        live, proxy = behind.live, behind.proxy
        assert await live.server.status("/readyz") == 503
        begun = time.monotonic()
        status, problem, _ = await live.api.send("Early?")
        assert (status, problem["code"], problem["retryable"]) == (503, "unavailable", True)
        assert time.monotonic() - begun < REFUSED_SECONDS + SLACK
        assert "127.0.0.1" not in str(problem)
        await proxy.up()
        await live.server.ready(RECOVERED_SECONDS + SLACK)
        await live.check_sound()

        question = "Still there? [[n=60;dt=30ms]]"
        told = Told()
        follows = asyncio.create_task(follow(live, question, told))
        await until(lambda: "-9 " in told.text, 10, "the first words are there")
        await proxy.down()
        status, problem, _ = await live.api.send("Now?", clientMessageId="one")
        assert (status, problem["code"]) == (503, "unavailable")
        assert await live.server.status("/livez") == 200
        said = len(told.text)
        await until(lambda: len(told.text) > said, 10, "the answer goes on meanwhile")
        await until(lambda: told.text == whole(question), 10, "and is said to its last word")
        await proxy.up()
        await asyncio.wait_for(follows, RECOVERED_SECONDS + SLACK)
        assert told.end is not None
        assert told.end.event == "done"
        assert "rewind" not in told.names
        status, _, headers = await live.api.send("Now?", clientMessageId="one")
        assert (status, headers.get("Idempotent-Replayed")) == (200, None)
        assert len(live.calls(question)) == 1


async def test_connections_that_are_cut_again_and_again_lose_nothing(
    tmp_path: Path, url: str, postgres: PostgresServer
) -> None:
    """F-058: the server ends our connections, whatever they are doing, while people talk."""
    async with behind_a_proxy(tmp_path, url) as behind:
        live = behind.live
        await behind.proxy.up()
        await live.server.ready()
        questions = [f"Number {number}? [[n=40;dt=10ms]]" for number in range(8)]
        sending = asyncio.gather(*(persist(live, question) for question in questions))
        end_all = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for _ in range(CUTS):
            await asyncio.to_thread(execute, behind.url, end_all)
            await asyncio.wait({sending}, timeout=0.1)
        assert await asyncio.wait_for(sending, 30) == [whole(question) for question in questions]
        stored = await live.stored()
        assert sorted(m.content for m in stored.messages if m.role == "user") == sorted(questions)
        for question in questions:
            assert len(live.calls(question)) <= 1 + sum(run.fence - 1 for run in stored.runs)


async def persist(live: Rig, question: str) -> str:
    """Send until it is taken, as a good client does, and return the whole reply."""
    while True:
        status, body, _ = await live.api.send(question, clientMessageId=question)
        if status == 200:
            return str(body["message"]["content"])
        assert status == 503, body
        assert body["retryable"], body
