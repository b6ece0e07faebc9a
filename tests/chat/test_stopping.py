"""Stop a reply: the model is let go, what was said is kept, and nobody else can do it."""

import asyncio
import time
from typing import Any

import pytest

from parlour.features.chat.schemas import SendBody
from parlour.vocabulary.principal import Principal
from tests.fakes.provider import FakeProvider
from tests.harness.serving import PATIENCE, Person, answers, asked

pytestmark = pytest.mark.anyio


async def newest(person: Person, session: str, *, count: int) -> dict[str, Any]:
    """Wait until a session has ``count`` messages; return the last one."""
    async with asyncio.timeout(PATIENCE):
        while len(found := await person.messages(session)) < count:
            pass  # each look is a request, so others get their turn
    return found[-1]


async def test_a_stopped_reply_keeps_what_was_said_and_lets_the_model_go(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-5, P-08"""
    async with visitor.stream("Stop me [[n=500;stall@5]]") as stream:
        run_id = (await stream.until("start")).value["runId"]
        while len(stream.reader.text.split()) < 5:
            await stream.more()
        stopped_at = time.monotonic()
        await visitor.ok("POST", f"/api/chat/runs/{run_id}/stop")
        (call,) = answers(provider, "Stop me")
        async with asyncio.timeout(PATIENCE):
            await call.ended.wait()
        # The promise is one second; what a busy machine adds is not ours to promise.
        assert time.monotonic() - stopped_at < 1 + PATIENCE / 10
        reader = await stream.rest()
    assert call.outcome == "reader gone"
    assert reader.done
    done = reader.frames[-2]
    assert (done.event, done.value["finishReason"]) == ("done", "stopped")
    start = reader.frames[0].value
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert (stored["status"], stored["finishReason"], stored["error"]) == ("stopped", "stopped", None)
    assert stored["content"] == reader.text
    assert len(stored["content"].split()) == 5
    assert stored["usage"]["outputTokens"] > 0, "what was used is recorded"
    assert (await visitor.run(run_id))["status"] == "stopped"


async def test_a_stop_reaches_everybody_who_reads_along(visitor: Person) -> None:
    """C-5, P-09"""
    async with visitor.stream("Stop for all [[n=500;stall@3]]") as stream:
        run_id = (await stream.begun())["runId"]
        async with visitor.follow(run_id) as other:
            await other.until("message")
            await visitor.ok("POST", f"/api/chat/runs/{run_id}/stop")
            await asyncio.gather(stream.rest(), other.rest())
    assert [frame.data for frame in other.reader.frames] == [frame.data for frame in stream.reader.frames]


async def test_stopping_twice_or_too_late_changes_nothing(visitor: Person) -> None:
    """C-5, F-054"""
    async with visitor.stream("Twice [[n=500;stall@2]]") as stream:
        run_id = (await stream.begun())["runId"]
        states = await asyncio.gather(
            *(visitor.ok("POST", f"/api/chat/runs/{run_id}/stop") for _ in range(5))
        )
        await stream.rest()
    assert {each["id"] for each in states} == {run_id}
    late = await visitor.ok("POST", f"/api/chat/runs/{run_id}/stop")
    assert late["status"] == "stopped"
    reply = await visitor.send("Done before [[n=2]]")
    after = await visitor.ok("POST", f"/api/chat/runs/{reply['runId']}/stop")
    assert after["status"] == "completed"
    assert await visitor.message(reply["sessionId"], reply["messageId"]) == reply["message"]


async def test_a_waiting_reply_that_is_stopped_never_asks_the_model(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-5, C-8"""
    session = await visitor.session()
    async with visitor.stream("Busy with this [[n=3;ttft=0.5]]", sessionId=session) as first:
        await first.until("start")
        asking = asyncio.ensure_future(visitor.send("Never mind this one", sessionId=session))
        waiting = await newest(visitor, session, count=4)
        assert waiting["status"] == "pending"
        state = await visitor.ok("POST", f"/api/chat/runs/{waiting['runId']}/stop")
        assert state["status"] == "stopped"
        whole = await asking
        await first.rest()
    assert (whole["message"]["status"], whole["response"]) == ("stopped", "")
    assert whole["message"]["finishReason"] == "stopped"
    assert answers(provider, "Never mind this one") == []
    reply = await visitor.send("Go on [[n=2]]", sessionId=session)
    assert reply["message"]["status"] == "completed"


async def test_a_reply_can_be_stopped_before_its_first_word(visitor: Person, provider: FakeProvider) -> None:
    """C-5"""
    async with visitor.stream("Before a word [[ttft=60]]") as stream:
        run_id = (await stream.until("start")).value["runId"]
        await asked(provider, "Before a word")
        await visitor.ok("POST", f"/api/chat/runs/{run_id}/stop")
        reader = await stream.rest()
    assert reader.text == ""
    assert reader.frames[-2].value["finishReason"] == "stopped"
    stored = await visitor.message(reader.frames[0].value["sessionId"], reader.frames[0].value["messageId"])
    assert (stored["status"], stored["content"], stored["ttftMs"]) == ("stopped", "", None)


async def test_a_stop_in_the_very_moment_in_which_an_answer_begins_ends_it(visitor: Person) -> None:
    """C-5, P-03: it can be stored together with the end of the answer before"""
    parlour, principal = visitor.served.parlour, Principal(visitor.id)
    accepted = await parlour.replies.send(principal, SendBody(message="Not one word [[ttft=60]]"))
    parlour.turns.notice_stops({accepted.run.id})  # its task has not taken a step yet
    assert (await visitor.ended(accepted.run.id))["status"] == "stopped"


async def test_nobody_else_can_stop_a_reply(visitor: Person, stranger: Person) -> None:
    """C-5, A-044"""
    async with visitor.stream("Mine [[n=12;dt=0.02]]") as stream:
        run_id = (await stream.begun())["runId"]
        refused = await stranger.request("POST", f"/api/chat/runs/{run_id}/stop")
        assert (refused.status, refused.json["code"]) == (404, "not_found")
        reader = await stream.rest()
    assert reader.frames[-2].value["finishReason"] == "stop"
    assert len(reader.text.split()) == 12


async def test_deleting_a_session_stops_what_runs_in_it(visitor: Person, provider: FakeProvider) -> None:
    """F-054: no orphan goes on behind a deleted session"""
    async with visitor.stream("Delete me [[n=500;stall@2]]") as stream:
        start = await stream.begun()
        await visitor.ok("DELETE", f"/api/chat/sessions/{start['sessionId']}")
        (call,) = answers(provider, "Delete me")
        async with asyncio.timeout(PATIENCE):
            await call.ended.wait()
            reader = await stream.rest()
    assert reader.frames[-2].value["finishReason"] == "stopped"
    await visitor.ok("POST", f"/api/chat/sessions/{start['sessionId']}/restore")
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert stored["content"] == reader.text


async def test_what_waits_in_a_deleted_session_never_asks_the_model(
    visitor: Person, provider: FakeProvider
) -> None:
    """F-054"""
    session = await visitor.session()
    async with visitor.stream("Deleted first [[n=500;stall@2]]", sessionId=session) as first:
        await first.until("message")
        async with visitor.stream("Deleted second [[n=3]]", sessionId=session) as second:
            await newest(visitor, session, count=4)
            await visitor.ok("DELETE", f"/api/chat/sessions/{session}")
            await first.rest()
            await second.rest()
    assert second.reader.frames[-2].value["finishReason"] == "stopped"
    assert answers(provider, "Deleted second") == []
