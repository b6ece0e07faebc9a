"""OpenAI's requests, read: what is understood, and how clearly the rest is refused (T-5)."""

import base64
from typing import Any

import pytest

from parlour.entrypoints.openai_api.reading import read_prompt
from parlour.entrypoints.openai_api.schemas import ChatBody
from parlour.llm.model import Image, Prompt, Tool, ToolCall, Turn
from parlour.vocabulary.errors import InvalidInput

PNG = b"\x89PNG\r\n\x1a\n and so on"
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ASK: dict[str, Any] = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}


def read(*messages: Any, **fields: Any) -> Prompt:  # noqa: ANN401
    return read_prompt(ChatBody.model_validate({"model": "m", "messages": list(messages), **fields}))


def test_instructions_go_to_the_system_in_their_order() -> None:
    prompt = read(
        {"role": "system", "content": "Be brief."},
        ASK,
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    )
    assert prompt.system == "Be brief.\n\nBe kind."
    assert prompt.turns == (Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Bye"))


def test_a_conversation_with_tools_is_read_whole() -> None:
    prompt = read(ASK, CALLED, RESULT, tools=[WEATHER], tool_choice="auto")
    assert prompt.turns == (
        Turn("user", "Hi"),
        Turn("assistant", "", tool_calls=(ToolCall("call_1", "weather", '{"city": "Ulm"}'),)),
        Turn("tool", "Sunny", tool_call_id="call_1"),
    )
    assert prompt.tools == (Tool("weather", "", {"type": "object"}),)
    assert prompt.tool_choice == "auto"


def test_a_tool_can_be_named() -> None:
    choice = {"type": "function", "function": {"name": "weather"}}
    assert read(ASK, tools=[WEATHER], tool_choice=choice).tool_choice == "weather"


def test_images_come_with_their_bytes() -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
    (turn,) = read({"role": "user", "content": parts}).turns
    assert turn == Turn("user", "What is this?", images=(Image("image/png", PNG),))


def test_wishes_for_the_answer_are_kept() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    prompt = read(
        ASK,
        temperature=0.5,
        top_p=0.9,
        max_tokens=10,
        max_completion_tokens=20,
        stop="END",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": schema, "strict": True},
        },
    )
    assert (prompt.temperature, prompt.top_p, prompt.max_tokens, prompt.stop) == (0.5, 0.9, 20, ("END",))
    assert prompt.output_schema == schema
    assert read(ASK, response_format={"type": "json_object"}).output_schema == {"type": "object"}
    assert read(ASK, response_format={"type": "text"}).output_schema is None


def test_hints_are_ignored() -> None:
    hints = {"seed": 1, "user": "u", "store": True, "n": 1, "logprobs": False, "frequency_penalty": 0.1}
    assert read(ASK, **hints, some_new_hint={"a": 1}) == read(ASK)


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([{"role": "system", "content": "x"}], "messages.0.role"),
        ([ASK, {"role": "assistant", "content": "x"}], "messages.1.role"),
        ([{"role": "function", "content": "x"}], "messages.0.role"),
        ([{"content": "x"}], "messages.0.role"),
        ([{"role": "user"}], "messages.0.content"),
        ([{"role": "user", "content": 1}], "messages.0.content"),
        ([{"role": "user", "content": ["x"]}], "messages.0.content.0.type"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages.0.content.0.type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages.0.content.0.text"),
        ([ASK, {"role": "assistant"}, ASK], "messages.1.content"),
        ([ASK, {"role": "assistant", "tool_calls": "x"}, ASK], "messages.1.tool_calls"),
        ([ASK, {"role": "assistant", "tool_calls": [{"id": "1"}]}, ASK], "messages.1.tool_calls.0"),
        ([ASK, CALLED], "messages.1.tool_calls"),
        ([ASK, CALLED, ASK], "messages.1.tool_calls"),
        ([ASK, RESULT], "messages.1.tool_call_id"),
        ([ASK, CALLED, {**RESULT, "tool_call_id": "call_2"}], "messages.2.tool_call_id"),
        ([ASK, CALLED, RESULT, RESULT], "messages.3.tool_call_id"),
    ],
)
def test_what_has_no_place_in_a_conversation_is_named(messages: list[Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(*messages)
    assert caught.value.fields[0].field == field


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/cat.png", "addresses are not fetched"),
        ("http://169.254.169.254/latest/meta-data", "addresses are not fetched"),
        ("file:///etc/passwd", "addresses are not fetched"),
        ("data:image/png,raw", "addresses are not fetched"),
        ("data:image/svg+xml;base64,PHN2Zz4=", "must be of"),
        ("data:image/png;base64,not base64!", "base64"),
        ("data:image/png;base64,", "empty"),
        (None, "addresses are not fetched"),
    ],
)
def test_images_from_elsewhere_are_refused(url: str | None, words: str) -> None:
    """S-6"""
    with pytest.raises(InvalidInput, match=words):
        read({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": "any"}, "tool_choice"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ],
)
def test_what_cannot_be_done_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(ASK, **fields)
    assert caught.value.fields[0].field == field
