"""Reading Anthropic's messages: the same answer at every cut, and nothing taken for what it is not."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlour.llm.model import ToolCall
from parlour.llm.wire.anthropic_messages import MessageStream, finish_of, usage_of
from parlour.llm.wire.events import LONGEST_ARGUMENTS
from parlour.vocabulary.errors import Garbled, Overloaded
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.fakes.anthropic_wire import SHAPES, AnthropicWire
from tests.fakes.script import Call, Script
from tests.fakes.service import Asked

WORDS = ["Grüße:\n\n", "日本 👩‍👩‍👧", ' "q\\"']
CALLS = (Call("weather", '{"city": "Ü"}', "call_a"), Call("clock", "{}", "call_b"))
SHAPES_TO_CUT = [shape for shape in SHAPES if shape != "longcomment"] + ["plain"]


def recorded(shape: str) -> bytes:
    """Return the bytes of a whole answer: a thought, words, and two tool calls."""
    asked = Asked(model="claude", question="", messages=[{"content": "one two three"}], stream=True)
    wire = AnthropicWire(Script(shape=frozenset({shape}), thoughts=1, usage="cached"), asked)
    begun = wire.opening() + wire.thought("Hm.")
    words = b"".join(map(wire.piece, WORDS))
    return begun + words + b"".join(wire.calls(CALLS)) + wire.ending(9)


def read(*pieces: bytes) -> tuple[str, list[ToolCall], FinishReason | None, Usage | None, bool]:
    """Return all that can be known of an answer."""
    stream = MessageStream()
    text = "".join(stream.feed(piece) for piece in pieces if not stream.over)
    text += "" if stream.over else stream.close()
    return text, stream.calls, stream.finish, stream.usage, stream.complete


EXPECTED = (
    "".join(WORDS),
    [ToolCall(each.id, each.name, each.arguments) for each in CALLS],
    FinishReason.TOOL_CALLS,
    Usage(3, 10, cached_tokens=1, cache_write_tokens=0),
    True,
)


@pytest.mark.parametrize("shape", SHAPES_TO_CUT)
def test_an_answer_is_the_same_wherever_the_network_cuts_it(shape: str) -> None:
    stream = recorded(shape)

    for cut in range(len(stream) + 1):
        assert read(stream[:cut], stream[cut:]) == EXPECTED
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == EXPECTED


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["plain", "crlf", "cr", "multiline"]), st.lists(st.integers(0, 6000), max_size=40))
def test_an_answer_is_the_same_however_often_it_is_cut(shape: str, cuts: list[int]) -> None:
    stream = recorded(shape)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    assert read(*(stream[a:b] for a, b in pairwise(places))) == EXPECTED


@pytest.mark.parametrize("shape", ["plain", "crlf", "cr"])
def test_an_answer_cut_off_anywhere_is_a_beginning_of_itself(shape: str) -> None:
    """F-016: no half character, no half event, no half tool call, and never taken for whole."""
    stream = recorded(shape)
    end = stream.index(b'"stop_reason": "tool_use"')
    for cut in range(end):
        text, calls, _, usage, complete = read(stream[:cut])
        assert EXPECTED[0].startswith(text)
        assert EXPECTED[1][: len(calls)] == calls
        assert usage is None  # what the beginning counts is not what was said
        assert not complete


def events(*documents: dict[str, Any]) -> bytes:
    """Write documents as Anthropic does."""
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in documents)


START = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
HELLO = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
STOP = {"type": "content_block_stop", "index": 0}
PING = {"type": "ping"}


def test_a_ping_is_life_only_while_the_model_thinks() -> None:
    """The newest models think without a word on the line; a server that only pings may be stuck."""
    stream = MessageStream()
    thinking = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}
    signature = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta"}}

    lively = []
    for each in (START, PING, thinking, PING, signature, STOP, PING):
        stream.feed(events(each))
        lively.append(stream.lively)

    assert lively == [False, False, True, True, True, False, False]


def test_an_error_in_the_stream_ends_it_and_keeps_what_was_said() -> None:
    """F-005: overloaded after HTTP 200."""
    stream = MessageStream(secret="sk-a-secret-key")
    said = "overloaded, sk-a-secret-key"
    error = {"type": "error", "error": {"type": "overloaded_error", "message": said}}

    assert stream.feed(events(START, TEXT, HELLO, error, HELLO)) == "Hello"
    assert stream.over
    assert isinstance(stream.failure, Overloaded)
    assert "sk-a-secret-key" not in str(stream.failure.cause)


def test_what_a_proxy_repeats_is_not_said_twice() -> None:
    """F-026: a block that comes again after it has ended, and an answer after its end."""
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
    stream = MessageStream()

    assert stream.feed(events(START, TEXT, HELLO, STOP, TEXT, HELLO, STOP, end, TEXT, HELLO)) == "Hello"
    assert stream.usage == Usage(5, 2)


def test_what_the_beginning_counts_is_not_taken_for_all() -> None:
    """F-025: it knows what was read, and one token that was written."""
    stream = MessageStream()
    stream.feed(
        events(
            START, TEXT, HELLO, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}
        )
    )

    assert stream.complete
    assert stream.usage is None


def test_a_call_that_was_cut_by_the_limit_is_no_call() -> None:
    call = {"type": "tool_use", "id": "a", "name": "weather", "input": {}}
    begin = {"type": "content_block_start", "index": 0, "content_block": call}
    half = {"type": "input_json_delta", "partial_json": '{"city": "Be'}
    end = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 2}}
    stream = MessageStream()
    stream.feed(events(START, begin, {"type": "content_block_delta", "index": 0, "delta": half}, end))

    assert stream.calls == []
    assert stream.finish is FinishReason.LENGTH


def test_a_call_without_end_is_cut_off() -> None:
    """F-020: memory stays bounded whatever a server writes."""
    call = {"type": "tool_use", "id": "a", "name": "weather", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": "x" * (LONGEST_ARGUMENTS // 2)}
    delta = {"type": "content_block_delta", "index": 0, "delta": piece}
    begin = {"type": "content_block_start", "index": 0, "content_block": call}
    stream = MessageStream()
    stream.feed(events(START, begin, delta, delta, delta))

    assert isinstance(stream.failure, Garbled)


ODD: list[Any] = [None, 1, "x", [], {}, {"type": None}, {"type": []}, {"index": "0"}]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nothing_that_can_be_sent_breaks_the_reader(data: st.DataObject) -> None:
    """F-018: any field of any event may be missing or be anything."""
    documents = json.loads(json.dumps([START, TEXT, HELLO, PING, STOP]))
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    documents.append({"type": "content_block_start", "index": 1, "content_block": call})
    documents.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}})
    document = data.draw(st.sampled_from(documents))
    inner = data.draw(st.sampled_from([document, *(v for v in document.values() if isinstance(v, dict))]))
    inner[data.draw(st.sampled_from([*inner, "extra"]))] = data.draw(st.sampled_from(ODD))
    stream = MessageStream()
    lines = [f"data: {json.dumps(each)}\n\n".encode() for each in documents]
    text = "".join(map(stream.feed, lines)) + stream.close()

    assert text in ("Hello", "x", "xHello", "")
    assert not stream.gibberish


@pytest.mark.parametrize(
    "body", [b"<!doctype html>\n<p>Hi</p>\n\n", b'data: {"choices": []}\n\n', b"data: 7\n\n"]
)
def test_another_protocol_is_no_answer(body: bytes) -> None:
    stream = MessageStream()
    stream.feed(body)
    stream.close()

    assert stream.gibberish
    assert not stream.complete


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("pause_turn", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.FILTERED),
        ("something new", FinishReason.STOP),
        ("", None),
        (None, None),
        (["end_turn"], None),
    ],
)
def test_every_stop_reason_has_a_meaning(word: object, reason: FinishReason | None) -> None:
    assert finish_of(word) is reason


def test_a_refusal_is_one_from_its_first_word() -> None:
    stream = MessageStream()
    stream.feed(events(START, {"type": "message_delta", "delta": {"stop_reason": "refusal"}}))

    assert stream.refused


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
                "output_tokens": 7,
            },
            Usage(130, 7, cached_tokens=100, cache_write_tokens=20),
        ),
        ({"input_tokens": 3, "cache_read_input_tokens": None, "output_tokens": 4}, Usage(3, 4)),
        ({"input_tokens": 3, "output_tokens": -1}, None),
        ({"input_tokens": 3, "output_tokens": 10**12}, None),
        ({"input_tokens": True, "output_tokens": 1}, None),
        ({"input_tokens": 0, "output_tokens": 0}, None),
        ({}, None),
        (None, None),
    ],
)
def test_tokens_of_the_cache_are_a_part_of_the_input(counts: object, usage: Usage | None) -> None:
    """F-025."""
    assert usage_of(counts) == usage
