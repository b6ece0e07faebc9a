"""The event stream as the contract tells it: names, order, shapes, headers, signs of life."""

import asyncio
import json
import re
from functools import partial

import pytest

from parlour.features.chat.log import live, reading
from tests.fakes.provider import FakeProvider
from tests.harness.serving import Person, serving, settings
from tests.harness.sse import read_all

pytestmark = pytest.mark.anyio

FRAME = re.compile(
    r"id: \d+\.\d+\n(event: (?!text\n|message\n)[a-z]+\n)?data: \{[^\n\r]*\}\n\n"
    r"|: ping\n\n|data: \[DONE\]\n\n"
)
HOSTILE = "a\n\nevent: done\ndata: {}\n\n\r\rdata: [DONE]\r\r\u2028: comment\nb"


async def test_a_stream_tells_its_events_in_their_order_and_shapes(visitor: Person) -> None:
    """T-1: the table of events"""
    async with visitor.stream("Tell me [[n=3]]") as stream:
        reader = await stream.rest()
    names = [frame.event for frame in reader.frames]
    assert names[:4] == ["start", "meta", "status", "status"]
    assert set(names[4:-2]) == {"message"}
    assert names[-2:] == ["done", "message"]
    assert reader.frames[-1].data == "[DONE]"
    start, meta, searching, waiting = (frame.value for frame in reader.frames[:4])
    done = reader.frames[-2].value
    assert set(start) == {"runId", "sessionId", "userMessageId", "messageId", "assistantId"}
    assert (searching, waiting) == ({"stage": "searching"}, {"stage": "waiting"})
    assert meta == {
        "agent": "Parlour",
        "model": "fake",
        "provider": "openai_compatible",
        "why": "It is the only model that is set up here.",
    }
    assert set(done) == {
        *("finishReason", "usage", "costUsd", "latencyMs", "ttftMs", "model", "provider"),
    }
    assert set(done["usage"]) == {
        *("inputTokens", "outputTokens", "cachedTokens", "cacheWriteTokens", "estimated"),
    }
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert {name: stored[name] for name in done} == done
    assert stored["content"] == reader.text


async def test_every_byte_of_a_stream_belongs_to_a_frame_of_ours(visitor: Person) -> None:
    """T-1: id, event, one line of JSON; nothing else, whatever a model says (A-082)"""
    async with visitor.stream("Break out [[hostile=breakout]]") as stream:
        reader = await stream.rest()
    text = stream.raw.decode()
    assert FRAME.sub("", text) == ""
    assert reader.text == HOSTILE
    assert [frame.event for frame in reader.frames].count("done") == 1
    ids = [frame.id for frame in reader.frames[:-1]]
    assert ids == [f"1.{place}" for place in range(1, len(ids) + 1)], "numbered without a gap"


async def test_a_failed_run_ends_with_an_error_in_friendly_words(visitor: Person) -> None:
    """T-1, M-11"""
    async with visitor.stream("Fail [[n=6;rst@3]]") as stream:
        reader = await stream.rest()
    assert [frame.event for frame in reader.frames][-2:] == ["error", "message"]
    error = reader.frames[-2].value
    assert set(error) == {"code", "message", "retryable"}
    assert (error["code"], error["retryable"]) == ("provider_unreachable", True)
    assert len(reader.text.split()) == 3, "what was said is kept"
    assert reader.done


@pytest.mark.parametrize("ask", [{"stream": True}, {}], ids=["by field", "by Accept header"])
async def test_the_headers_keep_every_proxy_from_holding_events_back(
    visitor: Person, ask: dict[str, bool]
) -> None:
    """T-1, A-086, F-049"""
    answer = await visitor.request(
        "POST",
        "/api/chat",
        body={"message": "Headers [[n=1]]", **ask},
        headers={
            "Accept-Encoding": "gzip, br, zstd",
            "Origin": "https://evil.example",
            **({} if ask else {"Accept": "text/event-stream"}),
        },
    )
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store, no-transform"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"]
    assert "Content-Encoding" not in answer.headers
    assert "Content-Length" not in answer.headers
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert read_all(answer.body).done


async def test_silence_is_filled_with_heartbeats(visitor: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """T-1, P-10"""
    monkeypatch.setattr(reading, "Pulse", partial(live.Pulse, 0.05))
    async with visitor.stream("Keep silent [[n=2;ttft=0.4]]") as stream:
        reader = await stream.rest()
    assert reader.comments
    assert set(reader.comments) == {"ping"}
    assert FRAME.sub("", stream.raw.decode()) == ""
    assert len(reader.text.split()) == 2


async def test_a_reply_that_waits_for_another_one_shows_signs_of_life(
    visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-10, C-8"""
    monkeypatch.setattr(reading, "Pulse", partial(live.Pulse, 0.05))
    session = await visitor.session()
    async with visitor.stream("First [[n=1;ttft=0.5]]", sessionId=session) as first:
        await first.until("start")
        async with visitor.stream("Second [[n=1]]", sessionId=session) as second:
            reader = await second.rest()
    assert "ping" in reader.comments
    assert reader.done


async def test_each_word_is_sent_on_before_the_next_one_is_there(
    visitor: Person, provider: FakeProvider
) -> None:
    """T-1: nothing between a token and its reader waits for more"""
    async with visitor.stream("One word at a time [[n=2;stall@1]]") as stream:
        word = await stream.until("message")
        assert word.value["content"].strip()
        run_id = stream.reader.frames[0].value["runId"]
        await visitor.ok("POST", f"/api/chat/runs/{run_id}/stop")
        await stream.rest()
    (call,) = provider.calls("One word at a time")[:1]
    assert call.sent == 1


async def test_many_readers_of_one_run_all_get_the_same_bytes(visitor: Person) -> None:
    """T-6, P-09"""
    async with visitor.stream("For all [[n=20;dt=0.005]]") as stream:
        run_id = (await stream.until("start")).value["runId"]
        raws = await asyncio.gather(*(_read(visitor, run_id) for _ in range(20)))
        await stream.rest()
    assert {raw.replace(b": ping\n\n", b"") for raw in raws} == {stream.raw}


async def _read(visitor: Person, run_id: str) -> bytes:
    async with visitor.follow(run_id) as stream:
        await stream.rest()
    return stream.raw


async def test_a_reader_who_stops_reading_holds_nobody_back(visitor: Person) -> None:
    """T-6, A-085"""
    async with visitor.stream("Flood [[flood]]") as stuck:
        start = (await stuck.until("start")).value
        state = await visitor.ended(start["runId"])
    assert state["status"] == "completed"
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert len(stored["content"]) >= 1_000_000


async def test_citations_are_told_before_the_words_that_point_to_them(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """K-4, T-1"""
    async with serving(settings(tmp_path_factory.mktemp("parlour"), knowledge=True)) as served:
        visitor = await served.visitor()
        async with visitor.stream("How do I connect OpenAI?") as stream:
            reader = await stream.rest()
    told: set[int] = set()
    for frame in reader.frames[:-1]:
        if frame.event == "citation":
            assert set(frame.value) == {
                *("number", "passageId", "documentId", "title", "documentTitle", "quote", "url", "page")
            }
            told.add(frame.value["number"])
        elif frame.event == "message":
            assert {int(each) for each in re.findall(r"\[(\d+)\]", frame.value["content"])} <= told
    assert told
    assert json.loads(reader.frames[-2].data)["provider"] == "builtin"
