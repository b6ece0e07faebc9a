"""A reader who lost the connection gets exactly the missing events, wherever and whenever they return."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.harness import serving as harness
from tests.harness.databases import BACKENDS, MakeUrl
from tests.harness.serving import Person, serving
from tests.harness.sse import EventReader, put_together, read_all
from tests.harness.tables import forget_logs, rows

pytestmark = pytest.mark.anyio

# Everything that could be taken for a line, a field, a comment or an end of the stream.
SPOKEN = (
    "Zeile\n\nevent: done\ndata: {}\n\n\r\rdata: [DONE]\r\r id: 9.9\n: comment\n "
    "\u2028\u2029\x85\x0b caf\N{COMBINING ACUTE ACCENT}e \N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL} "
    "\N{RIGHT-TO-LEFT OVERRIDE}\u0645\u0631\u062d\u0628\u0627 \N{BYTE ORDER MARK} "
    '{"content": "x"} \\u0000 end'
)
JUNK = ["-1", "1e30", "' OR 1", "1.999999999", "999999999.1", "0.5", "1.-3", "\u0661.\u0662", "a" * 10_000]
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Told:
    """A run that was read to its end in one go."""

    person: Person
    run_id: str
    message_id: str
    session_id: str
    raw: bytes
    stored: str

    async def stored_now(self) -> dict[str, Any]:
        """Read the message anew."""
        return await self.person.message(self.session_id, self.message_id)


async def tell(person: Person, text: str = SPOKEN) -> Told:
    async with person.stream(f"Tell [[text={encoded(text)}]]") as stream:
        reader = await stream.rest()
    start = reader.frames[0].value
    message = await person.message(start["sessionId"], start["messageId"])
    assert message["status"] == "completed"
    return Told(
        person, start["runId"], start["messageId"], start["sessionId"], stream.raw, message["content"]
    )


async def resume(told: Told, before: EventReader) -> EventReader:
    """Go on as a client does that lost its connection: by the id of the last whole event."""
    before.cut_off()
    async with told.person.follow(told.run_id, last_id=before.last_id or None) as stream:
        assert stream.response.status == 200
        rest = await stream.rest()
    assert rest.done
    return rest


async def poll_on(told: Told, last_id: str) -> tuple[list[dict[str, Any]], str]:
    """Go on by polling; return the events and the last id."""
    events: list[dict[str, Any]] = []
    finished = False
    while not finished:
        page = await told.person.poll(told.run_id, after=last_id)
        events += page["items"]
        last_id = page["items"][-1]["seq"] if page["items"] else last_id
        finished = page["finished"]
    return events, last_id


def polled_text(before: EventReader, events: list[dict[str, Any]]) -> str:
    text = before.text
    for event in events:
        if event["event"] == "text":
            text += event["data"]["content"]
        elif event["event"] == "rewind":
            text = text[: event["data"]["length"]]
    return text


def boundaries(raw: bytes) -> list[int]:
    """Return where frames end, and a byte to both sides of it."""
    ends = [0] + [index + 2 for index in range(len(raw)) if raw[index : index + 2] == b"\n\n"]
    return sorted({max(0, min(len(raw), end + shift)) for end in ends for shift in (-1, 0, 1)})


async def check_every_cut(told: Told) -> None:
    """Cut at every frame's end and beside it; the reader always ends up with the stored text."""
    ids = set()
    for cut in boundaries(told.raw):
        reader = read_all(told.raw[:cut])
        if reader.done:
            continue
        reader.cut_off()
        if reader.last_id in ids:
            continue
        ids.add(reader.last_id)
        rest = await resume(told, reader)
        assert put_together([*reader.frames, *rest.frames]) == told.stored, f"cut at {cut}"
        events, _ = await poll_on(told, reader.last_id)
        assert polled_text(reader, events) == told.stored, f"polled after {reader.last_id}"
        assert [each["event"] for each in events] == [
            "text" if frame.event == "message" else frame.event for frame in rest.frames[:-1]
        ]
    assert len(ids) > 5


async def test_every_cut_of_an_ended_run_is_made_good(visitor: Person) -> None:
    """C-4, T-1, T-3, P-07: after the end, by events and by polling."""
    told = await tell(visitor)
    assert told.stored == SPOKEN
    assert read_all(told.raw).text == told.stored
    await check_every_cut(told)


async def test_a_cut_is_made_good_without_a_gap_or_a_repeat(visitor: Person) -> None:
    """C-4: what comes after a cut is exactly what the whole stream had there."""
    told = await tell(visitor)
    whole = read_all(told.raw).frames
    for place in range(1, len(whole) - 1):
        rest = await resume(told, EventReader(frames=whole[:place], last_id=whole[place - 1].id))
        assert rest.frames == whole[place:]


@few
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60).filter(
        str.strip
    ),
    cuts=st.lists(st.floats(0, 1), max_size=3),
)
@example(text=SPOKEN, cuts=[0.2, 0.5])
@example(text=" .\n", cuts=[0.99])
async def test_any_text_survives_any_cuts(visitor: Person, text: str, cuts: list[float]) -> None:
    """C-4, A-082: any text, any bytes kept of each connection, one after the other."""
    told = await tell(visitor, text)
    assert told.stored == text
    reader, raw = EventReader(), told.raw
    for share in cuts:
        reader.feed(raw[: int(len(raw) * share)])
        if reader.done:
            break
        reader.cut_off()
        async with visitor.follow(told.run_id, last_id=reader.last_id or None) as stream:
            await stream.rest()
        raw = stream.raw
    else:
        reader.feed(raw)
    assert reader.text == text
    assert reader.done


@few
@given(reads=st.lists(st.integers(0, 700), min_size=1, max_size=4))
@example(reads=[0, 1, 300])
async def test_cuts_during_the_run_are_made_good(visitor: Person, reads: list[int]) -> None:
    """C-4, P-07: while the answer is being written, cut after any number of bytes, again and again."""
    reader = EventReader()
    async with visitor.stream("Slowly [[n=12;dt=0.008]]") as stream:
        first = await stream.until("start")
        reader.feed(stream.raw)
    start = first.value
    for wanted in reads:
        reader.cut_off()
        if reader.done:
            break
        async with visitor.follow(start["runId"], last_id=reader.last_id) as stream:
            while len(stream.raw) < wanted and not stream.response.content.at_eof():
                await stream.more()
        reader.feed(stream.raw)
    reader.cut_off()
    if not reader.done:
        async with visitor.follow(start["runId"], last_id=reader.last_id) as stream:
            await stream.rest()
        reader.feed(stream.raw)
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert reader.text == stored["content"]
    assert len(reader.text.split()) == 12
    ids = [tuple(map(int, frame.id.split("."))) for frame in reader.frames if frame.data != "[DONE]"]
    assert ids == sorted(set(ids)), "every event once, in order"


async def test_readers_by_stream_and_by_poll_see_the_same_events_while_it_runs(visitor: Person) -> None:
    """T-3, T-4, P-09"""
    async with visitor.stream("Both [[n=15;dt=0.01]]") as stream:
        start = (await stream.until("start")).value
        told = Told(visitor, start["runId"], start["messageId"], start["sessionId"], b"", "")
        reader, (events, _), other = await asyncio.gather(
            stream.rest(), poll_on(told, ""), resume(told, EventReader())
        )
    assert other.frames == reader.frames
    assert [(each["seq"], each["data"]) for each in events] == [
        (frame.id, frame.value) for frame in reader.frames[:-1]
    ]
    assert reader.text == (await told.stored_now())["content"]


async def test_a_poll_waits_for_the_next_event_and_no_longer_than_asked(visitor: Person) -> None:
    """T-3"""
    async with visitor.stream("Wait [[n=2;ttft=0.5]]") as stream:
        run_id = (await stream.until("start")).value["runId"]
        await stream.until("meta")
    seen = await visitor.poll(run_id, wait=0)
    assert [each["event"] for each in seen["items"]][:1] == ["start"]
    assert not seen["finished"]
    rest = await visitor.poll(run_id, after=seen["items"][-1]["seq"], wait=20)
    assert rest["items"], "it came back with the next event"
    answer = await visitor.request(
        "GET", f"/api/chat/runs/{run_id}/events?wait=26", headers={"Accept": "application/json"}
    )
    assert answer.status == 422


async def test_the_id_may_come_in_the_address_where_proxies_take_the_header_away(visitor: Person) -> None:
    """T-1, F-049"""
    told = await tell(visitor)
    whole = read_all(told.raw).frames
    answer = await visitor.request("GET", f"/api/chat/runs/{told.run_id}/events?after={whole[4].id}")
    assert read_all(answer.body).frames == whole[5:]


async def test_a_junk_id_replays_the_whole_of_ones_own_run(visitor: Person) -> None:
    """A-081"""
    told = await tell(visitor)
    for junk in JUNK:
        rest = await resume(told, EventReader(last_id=junk.encode().decode("latin-1")))
        assert rest.text == told.stored, junk[:20]
        assert rest.frames[-2].event == "done"


async def test_the_id_of_another_run_shows_nothing_of_that_run(visitor: Person, stranger: Person) -> None:
    """A-081: ids are places, and a place means one in the run that the address names."""
    told, other = await tell(visitor), await tell(stranger, "secret " * 50)
    for frame in read_all(other.raw).frames:
        rest = await resume(told, EventReader(last_id=frame.id))
        assert "secret" not in rest.text
        assert told.stored.endswith(rest.text)


async def test_a_junk_id_replays_a_run_that_goes_on(visitor: Person) -> None:
    """A-081"""
    async with visitor.stream("Go on [[n=12;dt=0.02]]") as stream:
        start = await stream.begun()
        told = Told(visitor, start["runId"], start["messageId"], start["sessionId"], b"", "")
        rests = await asyncio.gather(
            *(resume(told, EventReader(last_id=junk.encode().decode("latin-1"))) for junk in JUNK)
        )
        await stream.rest()
    stored = (await told.stored_now())["content"]
    assert [rest.text for rest in rests] == [stored] * len(JUNK)


@pytest.fixture(params=BACKENDS)
async def restarted(
    request: pytest.FixtureRequest,
    provider: FakeProvider,
    make_url: MakeUrl,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Told]:
    """A run that was told by a server which has since been restarted."""
    folder, url = tmp_path_factory.mktemp("parlour"), make_url(request.param)
    wanted = harness.settings(folder, url=url, provider=provider)
    async with serving(wanted) as served:
        told = await tell(await served.visitor())
    async with serving(wanted) as served:
        told.person.served = served
        yield told


async def test_every_cut_is_made_good_after_a_restart_and_after_the_log_is_gone(restarted: Told) -> None:
    """C-4, P-07: the log is kept; later the reply is retold from the stored message, to any place in it."""
    await check_every_cut(restarted)
    await forget_logs(restarted.person.served)
    assert await rows(restarted.person.served, "run_events", run_id=restarted.run_id) == []
    await check_every_cut(restarted)
    for junk in JUNK:
        rest = await resume(restarted, EventReader(last_id=junk.encode().decode("latin-1")))
        assert rest.text == restarted.stored, junk[:20]


async def test_every_cut_of_a_retold_reply_is_made_good(visitor: Person) -> None:
    """C-4: a connection can also break while the reply is retold."""
    told = await tell(visitor)
    seen = read_all(told.raw[: len(told.raw) // 2])
    await forget_logs(visitor.served)
    assert await rows(visitor.served, "run_events", run_id=told.run_id) == []
    for known in ("", seen.last_id):
        async with visitor.follow(told.run_id, last_id=known or None) as stream:
            await stream.rest()
        for cut in boundaries(stream.raw):
            reader = EventReader(frames=list(seen.frames) if known else [], last_id=known)
            reader.feed(stream.raw[:cut])
            if reader.done:
                continue
            rest = await resume(told, reader)
            assert put_together([*reader.frames, *rest.frames]) == told.stored, (known, cut)
            assert [*reader.frames, *rest.frames][-2].event == "done"


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_reader_goes_on_where_a_restarted_server_takes_the_answer_up_again(
    backend: str, provider: FakeProvider, make_url: MakeUrl, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """C-3, C-4, B-1"""
    folder, url = tmp_path_factory.mktemp("parlour"), make_url(backend)
    wanted = harness.settings(folder, url=url, provider=provider)
    reader = EventReader()
    async with serving(wanted) as served:
        visitor = await served.visitor()
        async with visitor.stream(f"Survive {backend} [[n=25;dt=0.02]]") as stream:
            while len(stream.reader.text.split()) < 8:
                await stream.more()
            served.parlour.begin_drain()
            await stream.rest()
        reader.feed(stream.raw)
        start = reader.frames[0].value
        assert reader.frames[-1].event == "draining", "it says that the reader shall come back"
        assert not reader.done
    async with serving(wanted) as served:
        visitor.served = served
        async with visitor.follow(start["runId"], last_id=reader.last_id) as stream:
            await stream.rest()
        reader.feed(stream.raw)
        stored = await visitor.message(start["sessionId"], start["messageId"])
        async with visitor.follow(start["runId"]) as stream:
            again = await stream.rest()
    assert stored["status"] == "completed"
    assert len(stored["content"].split()) == 25, "continued, not begun again"
    assert reader.text == again.text == stored["content"]
    assert reader.done
