"""How a server ends, and how it begins again: told to, or with another one in its place."""

import asyncio
import time
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from tests.fakes.chat_wire import answer_pieces
from tests.fakes.script import script_of
from tests.faults.rig import Rig, rig
from tests.harness.client import BROKEN, Json, Told
from tests.harness.process import ServerProcess
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

GONE_SECONDS = 15.0  # P-18 allows 30 s; well within


def whole(question: str) -> str:
    """What the model answers when it is well."""
    return "".join(answer_pieces(question, script_of("fake", question), []))


async def test_a_second_server_on_the_same_data_is_refused_in_one_line_and_harms_nobody(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as live:
        second = ServerProcess(live.server.data, environment={"OPENAI_BASE_URL": live.provider.base_url})
        async with second:
            await second.launch()
            assert await second.exited() == 1
            (line,) = second.log.strip().splitlines()
        assert line.startswith("parlour: Another Parlour (process ")
        assert "PARLOUR_DATA_DIR" in line
        await live.check_sound()


async def test_a_stop_signal_ends_streams_at_once_and_answers_when_they_are_finished(tmp_path: Path) -> None:
    question = "Long? [[n=80;dt=20ms]]"
    async with rig(tmp_path) as live:
        told = Told()
        follows = asyncio.create_task(follow(live, question, told))
        # Not streamed: its sender gets the ids, to fetch the reply with.
        asked = asyncio.create_task(live.api.send("Whole? [[n=80;dt=20ms]]", clientMessageId="whole"))
        await until(lambda: "-3 " in told.text, 10, "the first words are there")
        await until(lambda: bool(live.calls("Whole? [[n=80;dt=20ms]]")), 10, "the other one is begun")
        begun = time.monotonic()
        live.server.terminate()
        await asyncio.wait_for(follows, 5)
        assert told.names[-1] == "draining"
        assert not told.closed
        status, body, _ = await asyncio.wait_for(asked, 5)
        assert status == 202
        assert await live.server.exited() == 0
        assert time.monotonic() - begun < GONE_SECONDS
        # The answers were finished before it went, so nobody has to ask the model again.
        stored = await live.stored()
        assert [run.status for run in stored.runs] == ["completed", "completed"]
        await live.server.start()
        assert await live.finish(told) == whole(question)
        assert "rewind" not in told.names
        assert (await live.api.whole_run(body["runId"])).text == whole("Whole? [[n=80;dt=20ms]]")
        assert [len(live.calls(each)) for each in (question, "Whole? [[n=80;dt=20ms]]")] == [1, 1]


async def follow(live: Rig, question: str, told: Told) -> None:
    """Read on one connection for as long as it lasts."""
    async with aclosing(live.api.stream(question, told)) as frames:
        async for _ in frames:
            pass


async def test_what_is_unfinished_and_what_waits_in_line_goes_on_after_a_clean_restart(
    tmp_path: Path,
) -> None:
    """The model does not answer in time, so the stop does not wait for it; a queued question neither."""
    question = "Slow? [[n=12;stall@6;times=1]]"
    async with rig(tmp_path, {"PARLOUR_DRAIN_SECONDS": "0.3"}) as live:
        told = Told()
        follows = asyncio.create_task(follow(live, question, told))
        await until(lambda: "-5 " in told.text, 10, "the first words are there")
        assert told.start is not None
        queued: Json = {"sessionId": told.start["sessionId"], "clientMessageId": "next"}
        waiting = asyncio.create_task(live.api.send("Next? [[n=4]]", **queued))
        await until(lambda: in_line(live), 10, "the next question is kept")
        begun = time.monotonic()
        live.server.terminate()
        assert await live.server.exited() == 0
        assert time.monotonic() - begun < GONE_SECONDS
        await follows
        status, body, _ = await waiting
        assert status == 202, body
        await live.server.start()
        # Nobody asks for it: the restarted server goes on by itself.
        await until(lambda: all_final(live), 15, "both are answered")
        assert await live.finish(told) == whole(question)
        assert "rewind" in told.names
        status, body, headers = await live.api.send("Next? [[n=4]]", **queued)
        assert (status, headers["Idempotent-Replayed"]) == (200, "true")
        assert body["message"]["content"] == whole("Next? [[n=4]]")


async def in_line(live: Rig) -> bool:
    """Tell whether a run waits for another one."""
    return any(run.status == "pending" for run in (await live.stored()).runs)


async def all_final(live: Rig) -> bool:
    """Tell whether every run has ended."""
    return all(run.finished_at for run in (await live.stored()).runs)


async def test_a_server_that_ends_takes_no_new_question(tmp_path: Path) -> None:
    async with rig(tmp_path) as live:
        told = Told()
        follows = asyncio.create_task(follow(live, "Long? [[n=40;dt=50ms]]", told))
        await until(lambda: "-3 " in told.text, 10, "the first words are there")
        live.server.terminate()
        await follows
        with suppress(*BROKEN):  # who comes over a new connection finds nobody
            status, problem, headers = await live.api.send("Too late?")
            assert (status, problem["code"], problem["retryable"]) == (503, "unavailable", True)
            assert int(headers["Retry-After"]) > 0
        assert await live.server.exited() == 0
        assert len((await live.stored()).runs) == 1
