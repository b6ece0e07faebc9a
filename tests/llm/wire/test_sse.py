"""Reading Server-Sent Events, as the WHATWG specification says and at every boundary."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm.wire.sse import EventReader, EventTooLarge, ServerEvent


def read(*pieces: bytes) -> list[ServerEvent]:
    """Return every event, the rest included."""
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.rest()


def data_of(*pieces: bytes) -> list[bytes]:
    """Return the data of every event."""
    return [event.data for event in read(*pieces)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
        (b": comment\n\n:\n\ndata: a\n: inside\n\n", [b"a"]),
        (b"id: 7\nretry: 10\nid\ndata: a\n\n", [b"a"]),
        (b"event: ping\n\ndata: a\n\n", [b"a"]),
        (b"\n\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"", []),
        (b"nothing of the kind", []),
    ],
)
def test_every_form_the_specification_knows_at_every_boundary(stream: bytes, expected: list[bytes]) -> None:
    assert data_of(stream) == expected
    for cut in range(len(stream) + 1):
        assert data_of(stream[:cut], stream[cut:]) == expected
    assert data_of(*(stream[i : i + 1] for i in range(len(stream)))) == expected


def test_an_event_has_its_own_name_only() -> None:
    events = read(b"event: error\ndata: a\n\nevent:x\n\ndata: b\n\n")

    assert events == [ServerEvent(b"error", b"a"), ServerEvent(b"", b"b")]


@given(
    st.lists(st.binary().map(lambda data: data.translate(None, b"\r\n")), max_size=5),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(min_value=0, max_value=200), max_size=8),
)
def test_whatever_is_sent_arrives_however_it_is_cut(
    sent: list[bytes], line_end: bytes, cuts: list[int]
) -> None:
    stream = b"".join(b"data: " + data + line_end * 2 for data in sent)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    assert data_of(*(stream[a:b] for a, b in pairwise(places))) == sent


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 2000, b"data:\n" * 400, b":" + b"x" * 2000])
def test_an_endless_event_is_refused_before_it_is_held(stream: bytes) -> None:
    reader = EventReader(limit=1000)
    taken = 0
    while taken < len(stream):
        try:
            reader.feed(stream[taken : taken + 10])
        except EventTooLarge:
            break
        taken += 10

    assert 900 < taken < 1300


def test_many_events_may_be_longer_together_than_one() -> None:
    reader = EventReader(limit=1000)

    assert len(reader.feed(b"data: " + b"x" * 500 + b"\n\n")) == 1
    assert len(reader.feed((b"data: " + b"x" * 500 + b"\n\n") * 10)) == 10
