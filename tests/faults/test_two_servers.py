"""Two servers on one PostgreSQL: what one leaves, the other takes up, and no sleeper writes in its dreams."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.chat_wire import answer_pieces
from tests.fakes.provider import FakeProvider
from tests.fakes.script import script_of
from tests.faults.rig import Rig, model_settings
from tests.harness.client import BROKEN, Api, Told
from tests.harness.databases import MakeUrl
from tests.harness.process import ServerProcess
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

LEASE, TAKEOVER = 10.0, 15.0  # P-04


@pytest.fixture
def url(make_url: MakeUrl) -> str:
    """An empty database that is this test's alone."""
    return make_url("postgres").replace("+asyncpg", "")


@asynccontextmanager
async def two_servers(folder: Path, url: str, **settings: str) -> AsyncGenerator[tuple[Rig, Rig], None]:
    """Two servers on one database, each seen by the same visitor."""
    async with FakeProvider() as provider:
        environment = {**model_settings(provider), "PARLOUR_DATABASE_URL": url, **settings}
        async with (
            ServerProcess(folder / "data", environment=environment) as first,
            ServerProcess(folder / "data", environment=environment) as second,
        ):
            await first.start()  # makes the secrets that both sign with
            await second.start()
            async with Api(first.url) as one, Api(second.url, token=one.token) as two:
                yield Rig(first, provider, one), Rig(second, provider, two)


def whole(question: str) -> str:
    """What the model answers when it is well."""
    return "".join(answer_pieces(question, script_of("fake", question), []))


async def test_a_server_that_slept_through_its_lease_writes_nothing_and_its_readers_get_the_answer(
    tmp_path: Path, url: str
) -> None:
    """F-036. The model is silent for the sleeper, so that only its lease can tell it."""
    question = "Asleep? [[n=12;stall@6;times=1]]"
    async with two_servers(tmp_path, url) as (sleeper, other):
        told = Told()
        follows = asyncio.create_task(read_to_the_end(sleeper, question, told))
        await until(lambda: told.text.endswith("-5 "), 10, "the first words are there")
        assert told.run_id is not None
        elsewhere = Told()
        watches = asyncio.create_task(watch(other, told.run_id, elsewhere))
        await until(lambda: elsewhere.text == told.text, 10, "they are stored: nothing waits to be written")
        sleeper.server.pause()
        await asyncio.wait_for(watches, LEASE + TAKEOVER)
        assert elsewhere.text == whole(question)
        stored = (await other.stored()).run(told.run_id)
        assert (stored.fence, stored.status) == (2, "completed")
        sleeper.server.resume()
        # Its reader waited all the time on the same connection, and is told what the other server said.
        await asyncio.wait_for(follows, 10)
        assert told.text == whole(question)
        (call, _) = sleeper.calls(question)
        await asyncio.wait_for(call.ended.wait(), 10)  # the sleeper lets go of the model, too
        await sleeper.check_sound()
        after = await other.stored()
        assert after.run(told.run_id) == stored
        assert after.message(stored.message_id).content == whole(question)
        lost = [line for line in sleeper.server.log.splitlines() if '"run_lost"' in line]
        assert len(lost) == 1


async def watch(live: Rig, run_id: str, told: Told) -> None:
    """Follow a run on one connection."""
    async with aclosing(live.api.events(run_id, told)) as frames:
        async for _ in frames:
            pass


async def read_to_the_end(live: Rig, question: str, told: Told) -> None:
    """Send and read, and come back where the connection ends before the answer does."""
    async with aclosing(live.api.stream(question, told)) as frames:
        async for _ in frames:
            pass
    if not told.closed:
        await live.finish(told)


async def test_a_killed_server_is_replaced_by_the_one_beside_it(tmp_path: Path, url: str) -> None:
    question = "Gone? [[n=12;stall@6;times=1]]"
    async with two_servers(tmp_path, url) as (killed, other):
        told = Told()
        await killed.told_until(told, question, "-5 ")
        assert told.start is not None
        send = killed.api.send("Next? [[n=4]]", sessionId=told.start["sessionId"])
        waiting = asyncio.create_task(send)
        await until(lambda: queued(other), 10, "the next question is kept")
        killed.server.kill()
        with pytest.raises(BROKEN):
            await waiting
        assert await asyncio.wait_for(other.finish(told), LEASE + TAKEOVER) == whole(question)
        await until(lambda: all_final(other), TAKEOVER, "the question in line is answered, too")


async def queued(live: Rig) -> bool:
    """Tell whether a run waits for another one."""
    return any(run.status == "pending" for run in (await live.stored()).runs)


async def all_final(live: Rig) -> bool:
    """Tell whether every run has ended."""
    return all(run.finished_at for run in (await live.stored()).runs)


async def test_a_server_that_is_told_to_end_hands_its_answers_over_at_once(tmp_path: Path, url: str) -> None:
    """P-18: not after the lease has run out."""
    question = "Leaving? [[n=12;stall@6;times=1]]"
    async with two_servers(tmp_path, url, PARLOUR_DRAIN_SECONDS="0.2") as (leaving, other):
        told = Told()
        follows = asyncio.create_task(read_to_the_end_elsewhere(leaving, other, question, told))
        await until(lambda: "-5 " in told.text, 10, "the first words are there")
        leaving.server.terminate()
        await asyncio.wait_for(follows, LEASE)
        assert told.text == whole(question)
        assert "draining" in told.names
        assert await leaving.server.exited(10) == 0


async def read_to_the_end_elsewhere(here: Rig, there: Rig, question: str, told: Told) -> None:
    """Send and read here, go on there."""
    async with aclosing(here.api.stream(question, told)) as frames:
        async for _ in frames:
            pass
    await there.finish(told)
