"""Reading Gemini's content: the same answer at every cut, and nothing taken for what it is not."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlour.llm.model import ToolCall
from parlour.llm.wire.events import LONGEST_ARGUMENTS
from parlour.llm.wire.gemini_content import ContentStream, finish_of, usage_of
from parlour.vocabulary.errors import Garbled, RateLimited
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.fakes.gemini_wire import SHAPES, GeminiWire
from tests.fakes.script import Call, Script
from tests.fakes.service import Asked

WORDS = ["Grüße:\n\n", "日本 👩‍👩‍👧", ' "q\\"']
CALLS = (Call("weather", '{"city": "Ü"}', "call_a"), Call("clock", "{}", "call_b"))
SHAPES_TO_CUT = [shape for shape in SHAPES if shape != "longcomment"] + ["plain"]


def recorded(shape: str) -> bytes:
    """Return the bytes of a whole answer: a thought, words, and two tool calls."""
    asked = Asked(model="gemini", question="", messages=[{"parts": "one two"}], stream=True)
    wire = GeminiWire(Script(shape=frozenset({shape}), thoughts=1, usage="cached"), asked)
    begun = wire.opening() + wire.thought("Hm.")
    words = b"".join(map(wire.piece, WORDS))
    return begun + words + b"".join(wire.calls(CALLS)) + wire.ending(9)


def read(*pieces: bytes) -> tuple[str, list[ToolCall], FinishReason | None, Usage | None, bool]:
    """Return all that can be known of an answer."""
    stream = ContentStream()
    text = "".join(map(stream.feed, pieces)) + stream.close()
    return text, stream.calls, stream.finish, stream.usage, stream.complete


EXPECTED = (
    "".join(WORDS),
    [ToolCall(each.id, each.name, each.arguments) for each in CALLS],
    FinishReason.TOOL_CALLS,
    Usage(3, 10, cached_tokens=1),
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
    end = stream.index(b'"finishReason"')
    for cut in range(end):
        text, calls, _, _, complete = read(stream[:cut])
        assert EXPECTED[0].startswith(text)
        assert EXPECTED[1][: len(calls)] == calls
        assert not complete


def events(*documents: dict[str, Any]) -> bytes:
    """Write documents as Google does."""
    return b"".join(f"data: {json.dumps(each)}\r\n\r\n".encode() for each in documents)


def said(*parts: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return a response document with these parts."""
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}]}


HELLO = said({"text": "Hello"})
END = said({"text": ""}, finishReason="STOP")


def test_a_thought_is_life_and_no_word() -> None:
    stream = ContentStream()

    assert stream.feed(events(said({"text": "Hm.", "thought": True}))) == ""
    assert stream.lively
    assert stream.feed(events({"usageMetadata": {"promptTokenCount": 3}})) == ""
    assert not stream.lively


def test_a_blocked_prompt_is_refused() -> None:
    stream = ContentStream()
    stream.feed(events({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}))

    assert stream.refused
    assert stream.complete
    assert stream.finish is FinishReason.FILTERED


@pytest.mark.parametrize(
    "word", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS"]
)
def test_a_model_that_lost_its_way_gave_no_answer(word: str) -> None:
    """It passes when asked again, or somebody else is asked."""
    stream = ContentStream()

    assert stream.feed(events(HELLO, said(finishReason=word, finishMessage="print(city="))) == "Hello"
    assert isinstance(stream.failure, Garbled)
    assert stream.failure.retryable
    assert word in str(stream.failure.cause)


def test_an_error_in_the_stream_says_how_long_to_wait() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    error = {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": details}
    stream = ContentStream()

    assert stream.feed(events(HELLO, {"error": error}, HELLO)) == "Hello"
    assert isinstance(stream.failure, RateLimited)
    assert stream.failure.retry_after == 34.5


def test_what_comes_after_the_end_is_not_said() -> None:
    """F-026: but the count of tokens may come late."""
    stream = ContentStream()
    late = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}}

    assert stream.feed(events(HELLO, END, HELLO, END, late)) == "Hello"
    assert stream.usage == Usage(3, 1)


def test_calls_without_an_id_are_told_apart() -> None:
    signatures: dict[str, str] = {}
    call = {"functionCall": {"name": "clock"}, "thoughtSignature": "c2ln"}
    stream = ContentStream(remember=signatures.__setitem__)
    stream.feed(events(said(call, {"functionCall": {"name": "clock", "args": {}}}), END))
    first, second = stream.calls

    assert first.id != second.id
    assert (first.arguments, second.arguments) == ("{}", "{}")
    assert signatures == {first.id: "c2ln"}


def test_a_call_without_end_is_cut_off() -> None:
    """F-020: memory stays bounded whatever a server writes."""
    call = {"functionCall": {"name": "f", "args": {"x": "y" * LONGEST_ARGUMENTS}}}
    stream = ContentStream()
    stream.feed(events(said(call)))

    assert isinstance(stream.failure, Garbled)
    assert stream.calls == []


ODD: list[Any] = [None, 1, "x", [], {}, [None], [{}], {"parts": 1}, {"parts": [1]}]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nothing_that_can_be_sent_breaks_the_reader(data: st.DataObject) -> None:
    """F-018: any field of any document may be missing or be anything."""
    call = {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "x"}
    counts = {"promptTokenCount": 1, "candidatesTokenCount": 1}
    documents: list[Any] = json.loads(json.dumps([HELLO, said(call), {**END, "usageMetadata": counts}]))
    document = data.draw(st.sampled_from(documents))
    candidate = document["candidates"][0]
    inner = data.draw(
        st.sampled_from([document, candidate, candidate["content"], candidate["content"]["parts"][0]])
    )
    inner[data.draw(st.sampled_from([*inner, "extra", "error", "promptFeedback"]))] = data.draw(
        st.sampled_from(ODD)
    )
    stream = ContentStream()
    text = "".join(map(stream.feed, map(events, documents))) + stream.close()

    assert text in ("Hello", "x", "Hellox", "")
    assert not stream.gibberish


@pytest.mark.parametrize(
    "body", [b"<!doctype html>\n<p>Hi</p>\n\n", b'data: {"choices": []}\n\n', b"data: 7\n\n"]
)
def test_another_protocol_is_no_answer(body: bytes) -> None:
    stream = ContentStream()
    stream.feed(body)
    stream.close()

    assert stream.gibberish
    assert not stream.complete


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("CONTINUATION", FinishReason.LENGTH),
        ("SAFETY", FinishReason.FILTERED),
        ("RECITATION", FinishReason.FILTERED),
        ("PROHIBITED_CONTENT", FinishReason.FILTERED),
        ("BLOCKLIST", FinishReason.FILTERED),
        ("SPII", FinishReason.FILTERED),
        ("SOMETHING_NEW", FinishReason.STOP),
        ("FINISH_REASON_UNSPECIFIED", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_every_finish_reason_has_a_meaning(word: object, reason: FinishReason | None) -> None:
    assert finish_of(word) is reason


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 60,
                "toolUsePromptTokenCount": 5,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 30,
            },
            Usage(105, 50, cached_tokens=60),
        ),
        ({"promptTokenCount": 3, "thoughtsTokenCount": 4}, Usage(3, 4)),
        ({"promptTokenCount": 3, "cachedContentTokenCount": 9, "candidatesTokenCount": 1}, Usage(3, 1)),
        ({"promptTokenCount": -3, "candidatesTokenCount": 1}, None),
        ({"promptTokenCount": 3, "candidatesTokenCount": 10**12}, None),
        ({"promptTokenCount": 0}, None),
        ({}, None),
        ([], None),
    ],
)
def test_thoughts_are_a_part_of_the_output(counts: object, usage: Usage | None) -> None:
    """F-025."""
    assert usage_of(counts) == usage
