"""Reading chat completions: the same words at every cut, and the same as the official client reads."""

from itertools import pairwise
from typing import Any

import openai
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.wire.chat_completions import ChatStream, finish_of, usage_of
from parlour.llm.wire.text import TextMender, well_formed
from parlour.vocabulary.errors import Garbled, Overloaded
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.fakes.chat_wire import SHAPES, ChatWire
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Script
from tests.fakes.service import Asked
from tests.llm.asking import ask

WORDS = ["Grüße", " an alle", ":\n\n", "日本語", " und ", "👩‍👩‍👧", " — ", '"quoted\\"', " end."]


def recorded(shape: str) -> bytes:
    """Return the bytes of a whole answer in the shape of OpenAI's own streams, or in an odd one."""
    wire = ChatWire(Script(shape=frozenset({shape})), Asked("gpt-test", "", [], stream=True))
    return wire.opening() + b"".join(map(wire.piece, WORDS)) + wire.ending(9)


def read(*pieces: bytes) -> tuple[str, FinishReason | None, Usage | None, bool]:
    """Return all that can be known of an answer."""
    stream = ChatStream()
    text = "".join(stream.feed(piece) for piece in pieces) + stream.close()
    return text, stream.finish, stream.usage, stream.complete


EXPECTED = ("".join(WORDS), FinishReason.STOP, Usage(0, 9), True)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "longcomment"] + ["plain"])
def test_an_answer_is_the_same_wherever_the_network_cuts_it(shape: str) -> None:
    stream = recorded(shape)

    for cut in range(len(stream) + 1):
        assert read(stream[:cut], stream[cut:]) == EXPECTED
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == EXPECTED


@settings(max_examples=200)
@given(st.sampled_from(["plain", "crlf", "cr", "multiline"]), st.lists(st.integers(0, 3000), max_size=40))
def test_an_answer_is_the_same_however_often_it_is_cut(shape: str, cuts: list[int]) -> None:
    stream = recorded(shape)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    assert read(*(stream[a:b] for a, b in pairwise(places))) == EXPECTED


@pytest.mark.parametrize("shape", ["plain", "crlf", "cr"])
def test_an_answer_cut_off_anywhere_is_a_beginning_of_itself(shape: str) -> None:
    """F-016: no half character, no half event, and never taken for whole."""
    stream = recorded(shape)
    end = stream.index(b'"finish_reason": "stop"')
    for cut in range(end):
        text, _, _, complete = read(stream[:cut])
        assert EXPECTED[0].startswith(text)
        assert not complete


SHAPES_OF_BOTH = ["crlf", "comments", "nospace", "multiline", "emptychoices", "nullcontent"]
ANSWERS_OF_BOTH = ["n=40", "n=40;dt=0.001", "split;n=4", "whole", "hostile=nul", "hostile=breakout"]
ENDS_OF_BOTH = ["finish=length", "usage=cached"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "directives", [*(f"shape={each}" for each in SHAPES_OF_BOTH), *ANSWERS_OF_BOTH, *ENDS_OF_BOTH]
)
async def test_the_official_client_reads_the_same(
    model: OpenAICompatible, provider: FakeProvider, directives: str
) -> None:
    asked = f"Grüße, 世界! [[{directives}]]"
    text, finish, counted = "", None, None
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="none", max_retries=0) as oracle:
        messages: list[Any] = [
            {"role": "system", "content": "You are kind."},
            {"role": "user", "content": asked},
        ]
        if directives == "whole":
            document = await oracle.chat.completions.create(model="fake", messages=messages)
            text, finish = document.choices[0].message.content or "", document.choices[0].finish_reason
            counted = document.usage
        else:
            async for chunk in await oracle.chat.completions.create(
                model="fake", messages=messages, stream=True, stream_options={"include_usage": True}
            ):
                counted = chunk.usage or counted
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    finish = choice.finish_reason or finish
    answer = await ask(model, asked)

    assert answer.text == text.replace("\0", "")  # which no database takes
    assert answer.finish.reason is finish_of(finish)
    assert counted is not None
    assert answer.finish.usage == usage_of(counted.model_dump())


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("content_filter", FinishReason.FILTERED),
        ("refusal", FinishReason.FILTERED),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("something new", FinishReason.STOP),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_finish_reasons(word: object, reason: FinishReason | None) -> None:
    assert finish_of(word) is reason


COUNTS = {"prompt_tokens": 10, "completion_tokens": 5}
THOUGHT = {"completion_tokens_details": {"reasoning_tokens": 3}}


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        (COUNTS, Usage(10, 5)),
        ({**COUNTS, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, 5, 4)),
        ({**COUNTS, "prompt_tokens_details": {"cached_tokens": 11}}, Usage(10, 5)),
        ({**COUNTS, "prompt_tokens_details": {"cached_tokens": None}}, Usage(10, 5)),
        ({**COUNTS, "prompt_tokens_details": None}, Usage(10, 5)),
        ({**COUNTS, "prompt_tokens_details": {"cache_write_tokens": 3}}, Usage(10, 5, 0, 3)),
        ({**COUNTS, "prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),  # DeepSeek
        ({**COUNTS, **THOUGHT, "total_tokens": 15}, Usage(10, 5)),
        ({**COUNTS, **THOUGHT, "total_tokens": 18}, Usage(10, 8)),  # xAI counts thinking beside the answer
        ({**COUNTS, "completion_tokens": 0}, Usage(10, 0)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({**COUNTS, "prompt_tokens": -1}, None),
        ({**COUNTS, "completion_tokens": 10**12}, None),
        ({**COUNTS, "completion_tokens": 5.0}, None),
        ({**COUNTS, "completion_tokens": True}, None),
        ({"prompt_tokens": 10}, None),
        ({}, None),
        (None, None),
        ("many", None),
    ],
)
def test_usage(document: object, usage: Usage | None) -> None:
    assert usage_of(document) == usage


def event(document: object, name: str = "") -> bytes:
    """Return one event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(document) + b"\n\n"


def piece(content: object, **more: object) -> dict[str, Any]:
    """Return one chunk."""
    return {"choices": [{"index": 0, "delta": {"content": content}, **more}]}


ODD_CHOICES: list[object] = [7, [7], [[]], {"0": {}}, [{"delta": 7}], [{"delta": []}]]
ODD_CONTENTS: list[object] = [7, None, {"text": "x"}, False]


@pytest.mark.parametrize(
    "odd",
    [
        *([], {}, 7, None, "x"),
        *({"choices": choices} for choices in ODD_CHOICES),
        *(piece(content) for content in ODD_CONTENTS),
        *({"choices": [{"delta": {"tool_calls": [{}]}}]}, {"usage": []}, {"error": None}, {"error": {}}),
    ],
)
def test_a_chunk_of_a_strange_kind_says_nothing_and_breaks_nothing(odd: object) -> None:
    stream = event(piece("a")) + event(odd) + event(piece("b", finish_reason="stop"))

    assert read(stream)[0] == "ab"


def test_words_after_the_finish_are_not_taken_twice() -> None:
    """F-026: a proxy that repeats itself."""
    stream = (
        event(piece("a")) + event(piece("b", finish_reason="stop")) + event(piece("b", finish_reason="stop"))
    )

    assert read(stream + event(piece("c")))[0] == "ab"


def test_content_in_parts() -> None:
    parts = [
        {"type": "thinking", "text": "hm"},
        {"type": "text", "text": "a"},
        {"type": "text", "text": None},
        7,
    ]

    assert read(event(piece(parts)) + event(piece("b")))[0] == "ab"


@pytest.mark.parametrize(
    "failed", [event({"error": {"type": "overloaded_error"}}), event({"type": "overloaded"}, "error")]
)
def test_what_came_before_an_error_was_said(failed: bytes) -> None:
    stream = ChatStream()
    text = stream.feed(event(piece("said")) + failed + event(piece("too late")))

    assert (text, stream.over) == ("said", True)
    assert isinstance(stream.failure, Overloaded)


def test_an_event_beyond_any_size_ends_the_answer() -> None:
    stream = ChatStream()
    stream.feed(event(piece("said")))
    for _ in range(9):
        assert stream.feed(b"data: " + b"x" * 1024 * 1024) == ""

    assert isinstance(stream.failure, Garbled)


def test_a_refusal_is_noticed() -> None:
    stream = ChatStream()
    stream.feed(event({"choices": [{"delta": {"refusal": "I cannot help with that."}}]}))

    assert stream.refused


@given(
    st.lists(st.text(st.characters(), max_size=6) | st.sampled_from(["\ud83d", "\ude00", "\0", "a\ud800"]))
)
def test_mended_text_can_always_be_kept(pieces: list[str]) -> None:
    mender = TextMender()
    text = "".join(mender.mend(each) for each in pieces) + mender.rest()

    assert text.encode().decode() == text
    assert "\0" not in text
    assert text == well_formed("".join(pieces))


@given(st.text())
def test_good_text_is_not_mended(text: str) -> None:
    assert well_formed(text) == text.replace("\0", "")
