"""Tool calls in a chat-completions stream: put together whatever the server makes of their pieces."""

import json
from typing import Any

import openai
import orjson
import pytest

from parlour.llm.model import Prompt, Text, Tool, ToolCall, Turn
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.wire.chat_completions import MOST_CALLS, ChatStream
from parlour.vocabulary.errors import Garbled
from parlour.vocabulary.messages import FinishReason
from tests.fakes.chat_wire import CALL_SHAPES, ChatWire
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Call, Script, calling, encoded
from tests.fakes.service import Asked
from tests.llm.asking import ask

CALLS = (
    Call("get_weather", '{"city": "Zürich", "units": "°C"}', "call_a"),
    Call("get_time", '{"zone": "Europe/Zurich"}', "call_b"),
    Call("ping", "{}", "call_c"),
)
NAMED = [(call.name, call.arguments) for call in CALLS]
TOOLS = tuple(Tool(call.name, "", {"type": "object", "properties": {}}) for call in CALLS)


def recorded(*shapes: str, calls: tuple[Call, ...] = CALLS, **script: Any) -> bytes:  # noqa: ANN401 - the script's
    """Return the bytes of an answer that says a word and calls tools."""
    wire = ChatWire(Script(shape=frozenset(shapes), **script), Asked("gpt-test", "", [], stream=True))
    said = wire.opening() + wire.piece("Let me see. ")
    return said + b"".join(wire.calls(calls)) + wire.ending(1)


def read(*pieces: bytes) -> tuple[str, list[ToolCall], FinishReason | None]:
    """Return what was said and called."""
    stream = ChatStream()
    text = "".join(stream.feed(piece) for piece in pieces) + stream.close()
    return text, stream.calls, stream.finish


@pytest.mark.parametrize("shape", ["plain", "interleaved", "noindex", "saysstop", "allatonce", "crlf"])
def test_calls_are_the_same_wherever_the_network_cuts_them(shape: str) -> None:
    stream = recorded(shape)
    expected = ("Let me see. ", [ToolCall(each.id, each.name, each.arguments) for each in CALLS])

    for cut in range(len(stream) + 1):
        assert read(stream[:cut], stream[cut:])[:2] == expected
    assert read(*(stream[i : i + 1] for i in range(len(stream))))[:2] == expected


@pytest.mark.parametrize("shape", [each for each in CALL_SHAPES if each != "legacy"])
@pytest.mark.parametrize("pieces", ["inpieces", "atonce"])
def test_each_server_s_own_way_gives_the_same_calls(shape: str, pieces: str) -> None:
    _, calls, finish = read(recorded(shape, pieces))

    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        (name, json.loads(arguments)) for name, arguments in NAMED
    ]
    assert len({call.id for call in calls}) == len(calls)
    assert all(call.id for call in calls)
    assert finish is (FinishReason.STOP if shape == "saysstop" else FinishReason.TOOL_CALLS)


def test_no_ids_and_one_index_for_all_are_told_apart_by_their_names() -> None:
    """Gateways that flatten parallel calls: nothing but a new name says that a new call begins."""
    _, calls, _ = read(recorded("noid", "sameindex"))

    assert [(call.name, call.arguments) for call in calls] == NAMED


def test_a_name_that_is_repeated_with_every_piece_is_one_call() -> None:
    deltas = [
        {"index": 0, "id": "x", "function": {"name": "f", "arguments": part}} for part in ('{"a"', ": ", "1}")
    ]
    stream = b"".join(chunk({"tool_calls": [delta]}) for delta in deltas) + chunk({}, "tool_calls")

    assert read(stream)[1] == [ToolCall("x", "f", '{"a": 1}')]


def test_calls_without_arguments_at_one_index_are_told_apart_by_their_ids() -> None:
    pieces = [{"index": 0, "id": name, "function": {"name": name, "arguments": ""}} for name in ("f", "g")]
    stream = b"".join(chunk({"tool_calls": [piece]}) for piece in pieces) + chunk({}, "tool_calls")

    assert read(stream)[1] == [ToolCall("f", "f", "{}"), ToolCall("g", "g", "{}")]


def test_a_function_call_as_before_there_were_tools() -> None:
    _, [call], finish = read(recorded("legacy"))

    assert (call.name, call.arguments, bool(call.id)) == (*NAMED[0], True)
    assert finish is FinishReason.TOOL_CALLS


def test_calls_that_break_off_are_not_made() -> None:
    """A call is given out only when the provider has said that it is whole."""
    stream = recorded()
    for cut in range(stream.index(b'"finish_reason": "tool_calls"')):
        assert read(stream[:cut])[1] == []


def test_a_call_that_the_limit_of_tokens_cut_is_not_made() -> None:
    calls = (CALLS[0], Call("get_time", '{"zone": "Eur', "call_b"))

    assert [call.id for call in read(recorded(calls=calls, finish="length"))[1]] == ["call_a"]


def test_arguments_that_are_no_json_are_handed_on_for_the_model_to_mend() -> None:
    """F-024: what the model wrote is told to it again by whoever runs the tools."""
    assert read(recorded(calls=(Call("f", "city=Paris", "x"),)))[1] == [ToolCall("x", "f", "city=Paris")]


def test_a_filtered_answer_calls_nothing() -> None:
    assert read(recorded(finish="content_filter"))[1] == []


def test_fifty_calls_at_once_are_taken_and_a_flood_is_not() -> None:
    fifty = tuple(Call("f", f'{{"n": {n}}}', f"call_{n}") for n in range(50))
    assert len(read(recorded(calls=fifty))[1]) == 50

    stream = ChatStream()
    for n in range(MOST_CALLS + 1):
        stream.feed(chunk({"tool_calls": [{"index": n, "id": f"{n}", "function": {"name": "f"}}]}))
    assert stream.over
    assert isinstance(stream.failure, Garbled)


def test_endless_arguments_are_cut_off() -> None:
    stream = ChatStream()
    start = {"index": 0, "id": "x", "function": {"name": "f", "arguments": "y" * 100_000}}
    while not stream.over:
        stream.feed(chunk({"tool_calls": [start]}))

    assert isinstance(stream.failure, Garbled)
    assert stream.calls == []


@pytest.mark.parametrize(
    "odd",
    [7, [7], [None], [{}], [{"function": 7}], [{"index": "x", "function": {"name": 7, "arguments": 7}}], {}],
)
def test_odd_pieces_call_nothing_and_break_nothing(odd: object) -> None:
    stream = chunk({"content": "a", "tool_calls": odd}) + chunk({"content": "b"}, "tool_calls")

    assert read(stream)[:2] == ("ab", [])


def test_text_beside_a_call_is_said() -> None:
    piece = {"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}}
    text, calls, _ = read(chunk({"content": "a", "tool_calls": [piece]}) + chunk({}, "tool_calls"))

    assert (text, calls) == ("a", [ToolCall("x", "f", "{}")])


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """Return one event."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


@pytest.mark.anyio
@pytest.mark.parametrize("shape", ["plain", "interleaved", "atonce", "allatonce", "split", "whole"])
async def test_the_official_client_reads_the_same_calls(
    model: OpenAICompatible, provider: FakeProvider, shape: str
) -> None:
    how = shape if shape in ("split", "whole") else f"shape={shape}"
    asked = f"Weather? [[{calling(*CALLS)};preface={encoded('Let me see.')};{how}]]"
    tools: Any = [
        {"type": "function", "function": {"name": tool.name, "parameters": dict(tool.parameters)}}
        for tool in TOOLS
    ]
    messages: Any = [{"role": "user", "content": asked}]
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="none", max_retries=0) as oracle:
        if shape == "whole":
            document = await oracle.chat.completions.create(model="fake", messages=messages, tools=tools)
        else:
            async with oracle.chat.completions.stream(
                model="fake", messages=messages, tools=tools
            ) as streaming:
                document = await streaming.get_final_completion()
    answer = await ask(model, Prompt(system="", turns=(Turn("user", asked),), tools=TOOLS))

    message = document.choices[0].message
    theirs = [
        (call.id, call.function.name, call.function.arguments)
        for call in message.tool_calls or []
        if call.type == "function"
    ]
    ours = [(e.id, e.name, e.arguments) for e in answer.events if isinstance(e, ToolCall)]
    assert ours == theirs
    assert "".join(e.content for e in answer.events if isinstance(e, Text)) == message.content
    assert answer.finish.reason is FinishReason.TOOL_CALLS
