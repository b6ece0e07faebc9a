"""Killed at each step of a turn (F-034), at moments that are observed from outside, not hoped for."""

import asyncio
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.chat_wire import answer_pieces
from tests.fakes.script import script_of
from tests.faults.rig import Rig, rig
from tests.harness.client import BROKEN, Told
from tests.harness.stored import StoredMessage
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

FIRST = "First? [[n=9;stall@4;times=1]]"
LATER = ("Second? [[n=4]]", "Third? [[n=4]]")
SILENT = ("Are you there? [[n=9;hold=60;times=1]]", "Or there? [[n=9;ttft=60;times=1]]")
UNTOLD = "Did you hear me? [[n=5;hold=0.2]]"


def pieces_of(question: str) -> list[str]:
    """What the model answers to a question when it is well."""
    return answer_pieces(question, script_of("fake", question), [])


def whole(question: str) -> str:
    """The whole of it."""
    return "".join(pieces_of(question))


async def the_answer(live: Rig, question: str) -> StoredMessage:
    """The one answer to the one question that is stored."""
    stored = await live.stored()
    (asked,) = [message for message in stored.messages if message.content == question]
    (answer,) = [message for message in stored.messages if message.parent_id == asked.id]
    return answer


async def test_before_the_commit_nothing_is_kept_and_the_repeated_send_is_the_first(tmp_path: Path) -> None:
    question = "Anyone? [[n=3]]"
    async with rig(tmp_path) as live:
        with closing(live.lock) as lock:
            lock.execute("BEGIN IMMEDIATE")  # the server's transaction has to wait for ours
            connection = await live.api.open_raw()
            await connection.write("POST", "/api/chat", {"message": question, "clientMessageId": "one"})
            await live.turn_over()
            live.server.kill()
            await live.server.exited()
            assert await connection.read() == b"", "it was not acknowledged"
            await connection.close()
        await live.server.start()
        assert (await live.stored()).messages == []
        status, body, headers = await live.api.send(question, clientMessageId="one")
        assert (status, headers.get("Idempotent-Replayed")) == (200, None)
        assert len((await live.stored()).messages) == 2
        assert body["message"]["content"] == "".join(pieces_of(question))


async def test_answers_at_every_step_are_finished_after_the_restart(tmp_path: Path) -> None:
    async with rig(tmp_path) as live:
        silent = [await Silent.begin(live, question) for question in SILENT]
        broken_off = [await BrokenOff.begin(live, place) for place in (1, 10, 19, 20)]
        in_line = await InLine.begin(live)
        untold = Told()
        async with aclosing(live.api.stream(UNTOLD, untold)) as frames:
            await anext(frames)  # acknowledged, and hardly more than that
            live.server.kill()
        await live.server.exited()
        await live.server.start()
        assert await live.finish(untold) == whole(UNTOLD)
        steps: list[Silent | BrokenOff | InLine] = [*silent, *broken_off, in_line]
        for step in steps:
            await step.check(live)


@dataclass(slots=True)
class Silent:
    """A message that the model was asked, and had not said a word to; its sender knows nothing of it yet."""

    question: str
    sending: "asyncio.Task[Any]"

    @classmethod
    async def begin(cls, live: Rig, question: str) -> "Silent":
        sending = asyncio.create_task(live.api.send(question, clientMessageId=question))
        await until(lambda: bool(live.provider.calls(question)), 10, "the model is asked")
        return cls(question, sending)

    async def check(self, live: Rig) -> None:
        with pytest.raises(BROKEN):
            await self.sending
        status, body, headers = await live.api.send(self.question, clientMessageId=self.question)
        assert (status, headers.get("Idempotent-Replayed")) == (200, "true")
        assert body["message"]["content"] == whole(self.question)
        assert (await the_answer(live, self.question)).status == "completed"
        assert len([call for call in live.provider.requests if call.question == self.question]) == 2


@dataclass(slots=True)
class BrokenOff:
    """An answer that stopped after some words, so fresh that not all of it was stored."""

    question: str
    told: Told

    @classmethod
    async def begin(cls, live: Rig, place: int) -> "BrokenOff":
        question = f"Tell me more. [[n=20;stall@{place};times=1]]"
        told = Told()
        await live.told_until(told, question, "".join(pieces_of(question)[:place]))
        return cls(question, told)

    async def check(self, live: Rig) -> None:
        assert await live.finish(self.told) == whole(self.question)
        assert "rewind" in self.told.names
        answer = await the_answer(live, self.question)
        assert (answer.status, answer.content) == ("completed", self.told.text)
        assert (await live.api.whole_run(self.told.run_id or "")).text == self.told.text
        assert self.told.start is not None
        calls = await live.api.attempts(self.told.start["messageId"])
        assert [call["status"] for call in calls] == ["lost", "answered"]


@dataclass(slots=True)
class InLine:
    """Questions that wait for the answer to an earlier one in their session."""

    session_id: str
    first: Told
    sending: "list[asyncio.Task[Any]]"

    @classmethod
    async def begin(cls, live: Rig) -> "InLine":
        told = Told()
        await live.told_until(told, FIRST, "-3 ")
        assert told.start is not None
        begun = cls(told.start["sessionId"], told, [])
        for question in LATER:
            send = live.api.send(question, sessionId=begun.session_id, clientMessageId=question)
            begun.sending.append(asyncio.create_task(send))
            await until(partial(is_kept, live, question), 10, "the question is kept")
        return begun

    async def check(self, live: Rig) -> None:
        for each in self.sending:
            with pytest.raises(BROKEN):
                await each
        await live.finish(self.first)
        for question in LATER:
            status, body, _ = await live.api.send(
                question, sessionId=self.session_id, clientMessageId=question
            )
            assert (status, body["message"]["content"]) == (200, whole(question))
        said = [message["content"] for message in await live.api.history(self.session_id)]
        assert said == [words for question in (FIRST, *LATER) for words in (question, whole(question))]


async def is_kept(live: Rig, question: str) -> bool:
    """Tell whether a question is stored."""
    return any(message.content == question for message in (await live.stored()).messages)


async def test_the_end_is_shown_only_once_it_is_stored(tmp_path: Path) -> None:
    question = "And the end? [[n=6;stall@6:0.5]]"
    async with rig(tmp_path) as live:
        told = Told()
        with closing(live.lock) as lock:
            async with aclosing(live.api.stream(question, told)) as frames:
                async for _ in frames:
                    if told.text == "".join(pieces_of(question)):
                        break
                lock.execute("BEGIN IMMEDIATE")  # the answer is complete; its last commit has to wait
                (call,) = live.provider.calls(question)
                await asyncio.wait_for(call.ended.wait(), 10)
                await live.turn_over()
                live.server.kill()
                with pytest.raises(BROKEN):
                    async for _ in frames:
                        pass
            await live.server.exited()
        assert told.end is None
        await live.server.start()
        assert await live.finish(told) == "".join(pieces_of(question))


async def test_an_end_that_was_stored_but_not_told_is_told_after_the_restart(tmp_path: Path) -> None:
    question = "Quite done? [[n=400;dt=1ms]]"
    async with rig(tmp_path) as live:
        told = Told()
        await live.told_until(told, question, "-5 ")
        await until(lambda: is_final(live, told), 20, "the answer is stored")
        live.server.kill()
        await live.server.exited()
        await live.server.start()
        calls = len(live.provider.requests)
        assert await live.finish(told) == whole(question)
        assert "rewind" not in told.names
        assert len(live.provider.requests) == calls, "nobody asks the model again for what is finished"


async def is_final(live: Rig, told: Told) -> bool:
    """Tell whether the run's end is stored."""
    return (await live.stored()).run(told.run_id or "").finished_at is not None


async def test_a_stop_that_was_accepted_holds_after_the_restart(tmp_path: Path) -> None:
    question = "Say a lot. [[n=500;dt=20ms]]"
    async with rig(tmp_path) as live:
        told = Told()
        await live.told_until(told, question, "-3 ")
        status, _, _ = await live.api.call("POST", f"/api/chat/runs/{told.run_id}/stop")
        live.server.kill()
        assert status == 200
        await live.server.exited()
        await live.server.start()
        text = await live.finish(told)
        answer = await the_answer(live, question)
        assert (answer.status, answer.content) == ("stopped", text)
        assert text != "".join(pieces_of(question))
