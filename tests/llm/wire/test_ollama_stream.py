"""Reading Ollama's lines: the same words at every cut, and the same as the official client reads."""

import json
from itertools import pairwise
from typing import Any

import aiohttp
import ollama
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlour.llm.model import Prompt, Tool, ToolCall, Turn
from parlour.llm.providers.ollama import Ollama
from parlour.llm.wire.ollama_chat import LineReader, OllamaStream, usage_of
from parlour.llm.wire.sse import EventTooLarge
from parlour.vocabulary.errors import Garbled, Overloaded, ProviderError
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.fakes.ollama_wire import SHAPES, OllamaWire
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Call, Script, calling, encoded
from tests.fakes.service import Asked
from tests.llm.asking import ask

WORDS = ["Grüße", " an alle", ":\n\n", "日本語", " und ", "👩‍👩‍👧", " — ", '"quoted\\"', " end."]
CALLS = (Call("get_weather", '{"city": "Zürich"}', "call_a"), Call("get_time", "{}", "call_b"))


def recorded(*shapes: str, calls: tuple[Call, ...] = (), **script: Any) -> bytes:  # noqa: ANN401 - the script's
    """Return the bytes of a whole answer in Ollama's own shape, or in an odd one."""
    asked = Asked("llama", "", [{"content": "one two"}], stream=True)
    wire = OllamaWire(Script(shape=frozenset(shapes), **script), asked)
    said = wire.opening() + b"".join(map(wire.piece, WORDS))
    return said + b"".join(wire.calls(calls) if calls else ()) + wire.ending(9)


def read(*pieces: bytes) -> tuple[str, list[ToolCall], FinishReason | None, Usage | None, bool]:
    """Return all that can be known of an answer."""
    stream = OllamaStream()
    text = "".join(stream.feed(piece) for piece in pieces) + stream.close()
    return text, stream.calls, stream.finish, stream.usage, stream.complete


CALLED = [ToolCall(each.id, each.name, each.arguments) for each in CALLS]
EXPECTED = ("".join(WORDS), CALLED, FinishReason.STOP, Usage(2, 9), True)


@pytest.mark.parametrize("shape", [*SHAPES, "plain"])
def test_an_answer_is_the_same_wherever_the_network_cuts_it(shape: str) -> None:
    stream = recorded(shape, calls=CALLS)

    for cut in range(len(stream) + 1):
        assert read(stream[:cut], stream[cut:]) == EXPECTED
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == EXPECTED


@settings(max_examples=200)
@given(st.sampled_from(["plain", "crlf", "blank"]), st.lists(st.integers(0, 3000), max_size=40))
def test_an_answer_is_the_same_however_often_it_is_cut(shape: str, cuts: list[int]) -> None:
    stream = recorded(shape, calls=CALLS)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})

    assert read(*(stream[a:b] for a, b in pairwise(places))) == EXPECTED


def test_an_answer_cut_off_anywhere_is_a_beginning_of_itself() -> None:
    """F-016: no half character, no half line, and never taken for whole."""
    stream = recorded()
    last = stream.rindex(b"{", 0, stream.rindex(b'"done": true'))
    for cut in range(last):
        text, _, _, _, complete = read(stream[:cut])
        assert EXPECTED[0].startswith(text)
        assert not complete


def test_calls_without_ids_get_some() -> None:
    _, calls, *_ = read(recorded("noid", calls=(*CALLS, *CALLS)))

    assert [call.name for call in calls] == [each.name for each in CALLS] * 2
    assert len({call.id for call in calls}) == 4


def test_calls_that_share_an_id_are_told_apart() -> None:
    _, calls, *_ = read(recorded(calls=(CALLS[0], CALLS[0])))

    assert len({call.id for call in calls}) == 2


def line(document: object) -> bytes:
    """Return one line."""
    return orjson.dumps(document) + b"\n"


def piece(content: object, **more: object) -> dict[str, Any]:
    """Return one piece of an answer."""
    return {"message": {"role": "assistant", "content": content, **more}, "done": False}


END: dict[str, Any] = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


ODD_CONTENTS: list[object] = [7, None, {"text": "x"}, ["x"]]
ODD_CALLS: list[object] = [7, {}, [7], [{}], [{"function": {"name": 7}}], [{"function": {"arguments": {}}}]]


@pytest.mark.parametrize(
    "odd",
    [
        *([], {}, 7, None, "x", {"message": 7}, {"message": {}}, {"done": "yes"}),
        *(piece(content) for content in ODD_CONTENTS),
        *(piece("", tool_calls=calls) for calls in ODD_CALLS),
    ],
)
def test_a_line_of_a_strange_kind_says_nothing_and_breaks_nothing(odd: object) -> None:
    text, calls, finish, *_ = read(line(piece("a")) + line(odd) + line(piece("b")) + line(END))

    assert (text, calls, finish) == ("ab", [], FinishReason.STOP)


def test_the_last_line_ends_the_answer_before_the_connection_does() -> None:
    stream = OllamaStream()
    stream.feed(line(piece("a")) + line(END))

    assert stream.over


def test_words_after_the_end_are_not_taken() -> None:
    """F-026: a proxy that repeats itself."""
    assert read(line(piece("a")) + line(END) + line(piece("a")) + line(END))[0] == "a"


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("an error was encountered while running the model: unexpected EOF", ProviderError),
        ("server busy, please try again.  maximum pending requests exceeded", Overloaded),
    ],
)
def test_an_error_in_the_stream_ends_it(sentence: str, kind: type[ProviderError]) -> None:
    stream = OllamaStream(secret="a-secret-key")
    text = stream.feed(line(piece("a")) + line({"error": sentence + " a-secret-key"}) + line(piece("b")))

    assert (text, stream.over) == ("a", True)
    assert type(stream.failure) is kind
    assert "a-secret-key" not in str(stream.failure.cause)


def test_thoughts_are_a_sign_of_life_and_no_text() -> None:
    stream = OllamaStream()

    assert stream.feed(line(piece("", thinking="Hm."))) == ""
    assert stream.lively
    stream.feed(line({"done": False}))
    assert not stream.lively


def test_what_is_no_json_at_all_is_gibberish() -> None:
    stream = OllamaStream()
    stream.feed(b"<!doctype html>\n<title>Welcome</title>\n")
    stream.close()

    assert stream.gibberish


def test_an_endless_line_is_cut_off() -> None:
    reader = LineReader(limit=10)
    assert reader.feed(b"12345\n1234567890") == [(b"", b"12345")]
    with pytest.raises(EventTooLarge):
        reader.feed(b"x")

    stream = OllamaStream()
    while not stream.over:
        stream.feed(b"x" * 1_000_000)
    assert isinstance(stream.failure, Garbled)


def test_endless_arguments_are_cut_off() -> None:
    stream = OllamaStream()
    call = {"function": {"name": "f", "arguments": {"a": "y" * 100_000}}}
    while not stream.over:
        stream.feed(line(piece("", tool_calls=[call])))

    assert isinstance(stream.failure, Garbled)


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        ({"prompt_eval_count": 3, "eval_count": 4}, Usage(3, 4)),
        ({"prompt_eval_count": 3, "eval_count": 0}, Usage(3, 0)),
        ({"eval_count": 4}, None),  # all of the prompt was in its memory, and it does not say how much
        ({"prompt_eval_count": 3}, None),
        ({"prompt_eval_count": -3, "eval_count": 4}, None),
        ({"prompt_eval_count": 3, "eval_count": 10**12}, None),
        ({"prompt_eval_count": 3, "eval_count": "4"}, None),
        ({}, None),
    ],
)
def test_usage(document: dict[str, Any], usage: Usage | None) -> None:
    assert usage_of(document) == usage


# Not what the client itself does not read: blank lines, and line separators of Unicode inside of words.
WAYS = [
    *("n=40", "n=40;dt=0.001", "split;n=4", "whole", "thoughts=3", "finish=length"),
    *(f"shape={each}" for each in ("crlf", "nolastline", "lasttext")),
    *(f"{calling(*CALLS)};preface={encoded('Let me see.')}{how}" for how in ("", ";split", ";whole")),
]


@pytest.mark.anyio
@pytest.mark.parametrize("directives", WAYS)
async def test_the_official_client_reads_the_same(
    provider: FakeProvider, session: aiohttp.ClientSession, directives: str
) -> None:
    asked = f"Grüße, 世界! [[{directives}]]"
    text, calls, last = "", list[tuple[str, Any]](), None
    messages = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": asked}]
    async with ollama.AsyncClient(host=provider.root) as oracle:
        if directives.endswith("whole"):
            answers = [await oracle.chat(model="fake", messages=messages)]
        else:
            answers = [each async for each in await oracle.chat(model="fake", messages=messages, stream=True)]
    for each in answers:
        text += each.message.content or ""
        calls += [(c.function.name, c.function.arguments) for c in each.message.tool_calls or ()]
        last = each
    assert last is not None

    model = Ollama(session=session, base_url=provider.root, model="fake")
    tools = tuple(Tool(each.name, "", {"type": "object"}) for each in CALLS)
    turns = (Turn("user", asked),)
    answer = await ask(model, Prompt(system="You are kind.", turns=turns, tools=tools))

    assert answer.text == text
    ours = [(e.name, json.loads(e.arguments)) for e in answer.events if isinstance(e, ToolCall)]
    assert ours == [(name, dict(arguments)) for name, arguments in calls]
    assert answer.finish.usage == usage_of(last.model_dump())
    expected = FinishReason.LENGTH if last.done_reason == "length" else FinishReason.STOP
    assert answer.finish.reason is (FinishReason.TOOL_CALLS if calls else expected)
