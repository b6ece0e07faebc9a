"""What is OpenAI's own: the request as it is documented, and what is conceded to servers that know less."""

import asyncio
from typing import Any

import aiohttp
import pytest

from parlour.llm.model import Finish, Image, Prompt, Text, Tool, ToolCall, Turn
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.vocabulary.errors import Rejected
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Call, calling, encoded
from tests.llm.asking import ask, question
from tests.llm.conftest import KEY

pytestmark = pytest.mark.anyio


@pytest.fixture
def model(provider: FakeProvider, session: aiohttp.ClientSession) -> OpenAICompatible:
    """Return an adapter for the fake."""
    return OpenAICompatible(session=session, base_url=provider.base_url, api_key=KEY, model="fake")


async def test_an_answer_streams_in_and_ends_with_its_usage(model: OpenAICompatible) -> None:
    answer = await ask(model, f"Hello? [[text={encoded('Good morning to you.')};usage=cached]]")

    assert answer.text == "Good morning to you."
    # The fake counts words: three of the system prompt, two of the question with its directive.
    assert answer.finish == Finish(FinishReason.STOP, Usage(input_tokens=5, output_tokens=4, cached_tokens=2))


async def test_the_request_is_what_openai_documents(model: OpenAICompatible, provider: FakeProvider) -> None:
    turns = (Turn("user", "One?"), Turn("assistant", "Two."), Turn("user", "Three?"))
    await ask(model, Prompt(system="Count.", turns=turns, temperature=0.5, max_tokens=77))

    [request] = provider.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"] == "parlour-tests"
    assert request.headers["accept-encoding"] == "identity"
    assert request.body == {
        "model": "fake",
        "messages": [
            {"role": "system", "content": "Count."},
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "Three?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 77,
    }


async def test_a_setting_that_nobody_made_is_left_to_the_provider(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    await ask(model, "Hello?")

    assert provider.requests[0].body.keys() == {"model", "messages", "stream", "stream_options"}


async def test_a_server_without_keys_gets_none(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    keyless = OpenAICompatible(session=session, base_url=provider.base_url + "/", model="fake")

    assert (await ask(keyless, "Hello?")).text
    assert "authorization" not in provider.requests[0].headers


async def test_what_arrives_together_is_one_event(model: OpenAICompatible) -> None:
    answer = await ask(model, "[[n=2000]]")

    assert len(answer.text.split()) == 2000
    assert len(answer.pieces) < 1000


async def test_what_arrives_alone_is_shown_at_once(model: OpenAICompatible, provider: FakeProvider) -> None:
    """The fake says two pieces and then nothing: the reader has both before anything else comes."""
    stream = model.stream(question("[[n=4;stall@2]]"))
    shown = ""
    while len(shown.split()) < 2:
        event = await anext(stream)
        assert isinstance(event, Text)
        shown += event.content
    await stream.aclose()

    assert provider.requests[0].sent == 2


@pytest.mark.parametrize("directive", ["", "after=late"])
async def test_the_next_question_takes_the_same_connection(
    model: OpenAICompatible, provider: FakeProvider, directive: str
) -> None:
    """A new one would cost the reader a TLS handshake. Some servers end a response only after [DONE]."""
    for number in range(3):
        await ask(model, f"Question {number} [[{directive}]]")

    assert provider.connections_made == 1


WEATHER = Tool(
    "get_weather",
    "Tell the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


async def test_tools_are_offered_and_called(model: OpenAICompatible, provider: FakeProvider) -> None:
    wish = Call("get_weather", '{"city": "Rome"}', "call_1")
    asked = f"Weather? [[{calling(wish)}]]"
    prompt = Prompt(system="", turns=(Turn("user", asked),), tools=(WEATHER,), tool_choice="get_weather")
    answer = await ask(model, prompt)

    assert answer.events[0] == ToolCall("call_1", "get_weather", '{"city": "Rome"}')
    assert answer.finish.reason is FinishReason.TOOL_CALLS
    assert provider.requests[0].body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Tell the weather.",
                "parameters": WEATHER.parameters,
            },
        }
    ]
    assert provider.requests[0].body["tool_choice"] == {
        "type": "function",
        "function": {"name": "get_weather"},
    }


async def test_the_results_of_tools_are_answered(model: OpenAICompatible, provider: FakeProvider) -> None:
    asked = f"Weather? [[{calling(Call('get_weather'))};text={encoded('Sunny.')}]]"
    call = ToolCall("call_1", "get_weather", '{"city": "Rome"}')
    turns = (
        Turn("user", asked),
        Turn("assistant", "", tool_calls=(call,)),
        Turn("tool", "22 °C", tool_call_id="call_1"),
    )
    answer = await ask(model, Prompt(system="", turns=turns, tools=(WEATHER,), tool_choice="auto"))

    assert answer.text == "Sunny."
    assert answer.finish.reason is FinishReason.STOP
    function = {"name": "get_weather", "arguments": '{"city": "Rome"}'}
    assert provider.requests[0].messages[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "22 °C", "tool_call_id": "call_1"},
    ]
    assert provider.requests[0].body["tool_choice"] == "auto"


async def test_a_finish_that_speaks_of_tools_where_none_was_called_is_just_the_end(
    model: OpenAICompatible,
) -> None:
    assert (await ask(model, "[[finish=tool_calls]]")).finish.reason is FinishReason.STOP


async def test_a_picture_goes_along(model: OpenAICompatible, provider: FakeProvider) -> None:
    picture = Image("image/png", b"\x89PNG\r\n")
    await ask(model, Prompt(system="", turns=(Turn("user", "What is this?", images=(picture,)),)))

    text, image = provider.requests[0].messages[0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    asked = provider.requests[0].asked
    assert asked is not None
    assert asked.images == (picture.data,)
    assert asked.question == "What is this?"


CLOSED = {
    "type": "object",
    "properties": {"n": {"type": "array", "items": {"type": "integer"}}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "properties": {"n": {"anyOf": [{"type": "object"}, CLOSED]}}}, False),
    ],
)
async def test_an_answer_in_json_is_asked_for(
    model: OpenAICompatible,
    provider: FakeProvider,
    schema: dict[str, Any],
    strict: bool,  # noqa: FBT001
) -> None:
    turns = (Turn("user", "A number."),)
    await ask(model, Prompt(system="", turns=turns, output_schema=schema, top_p=0.5, stop=("END",)))

    body = provider.requests[0].body
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["response_format"]["json_schema"].get("strict", False) is strict
    assert (body["top_p"], body["stop"]) == (0.5, ["END"])


async def test_a_server_without_schemas_is_asked_in_words(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    turns = (Turn("user", "[[param=response_format;code=unsupported_parameter]] A number."),)
    answer = await ask(model, Prompt(system="", turns=turns, output_schema=CLOSED))

    assert answer.text
    assert "response_format" not in provider.requests[1].body
    assert '"additionalProperties":false' in provider.requests[1].messages[0]["content"]


SCHEMA_COMPLAINTS = [
    "Invalid schema for response_format 'answer': In context=('properties', 'a'), 'oneOf' is not permitted.",
    "Invalid schema for response_format 'answer': In context=('properties', 'Unsupported parameter: "
    "response_format'), 'temperature' is not supported.",
    "The provided JSON schema contains features not supported by xgrammar.",
]


@pytest.mark.parametrize("message", SCHEMA_COMPLAINTS)
async def test_what_is_wrong_with_one_schema_is_no_matter_of_the_next(
    model: OpenAICompatible, provider: FakeProvider, message: str
) -> None:
    bad = (Turn("user", f"[[param=response_format;message={encoded(message)}]] A number."),)
    first = await ask(model, Prompt(system="", turns=bad, output_schema=CLOSED, temperature=0.1))
    next_one = (Turn("user", "A number."),)
    second = await ask(model, Prompt(system="", turns=next_one, output_schema=CLOSED, temperature=0.1))

    assert first.text
    assert second.text
    assert ["response_format" in each.body for each in provider.requests] == [True, False, True]
    assert all("temperature" in each.body for each in provider.requests)
    assert '"additionalProperties":false' in provider.requests[1].messages[0]["content"]


async def test_what_is_wrong_with_the_schema_of_a_tool_gives_up_nothing(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    message = (
        "Invalid schema for function 'weather': In context=('properties', 'temperature'), 'temperature' is "
        "not permitted."
    )
    turns = (Turn("user", f"[[status=400;message={encoded(message)}]]"),)
    asked = Prompt(system="", turns=turns, tools=(WEATHER,), output_schema=CLOSED, temperature=0.1)

    assert type((await ask(model, asked)).error) is Rejected
    assert len(provider.requests) == 1


async def test_a_model_that_calls_tools_only_without_thinking_is_told_not_to_think(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    """What OpenAI's newer models answer over this API as soon as tools are offered."""
    refusal = encoded(
        "Function tools with reasoning_effort are not supported for gpt-6 in /v1/chat/completions. To use "
        "function tools, use /v1/responses or set reasoning_effort to 'none'."
    )
    turns = (Turn("user", f"[[needs=reasoning_effort;message={refusal}]]"),)
    prompt = Prompt(system="", turns=turns, tools=(WEATHER,))
    for _ in range(2):
        assert (await ask(model, prompt)).text
    await ask(model, "Without tools it may think.")

    efforts = [each.body.get("reasoning_effort") for each in provider.requests]
    assert efforts == [None, "none", "none", None]


async def test_a_refusal_that_concedes_nothing_is_not_asked_again(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    turns = (Turn("user", f"[[status=400;param=reasoning_effort;message={encoded('not supported')}]]"),)
    answer = await ask(model, Prompt(system="", turns=turns, tools=(WEATHER,)))

    assert type(answer.error) is Rejected
    assert not answer.error.retryable
    assert len(provider.requests) == 2


@pytest.mark.parametrize("parameter", ["max_tokens", "temperature", "top_p", "stop", "stream_options"])
async def test_a_parameter_that_the_server_does_not_know_is_given_up_once(
    model: OpenAICompatible, provider: FakeProvider, parameter: str
) -> None:
    text = f"[[param={parameter};code=unsupported_parameter]]"
    turns = (Turn("user", text),)
    prompt = Prompt(system="", turns=turns, temperature=0.1, top_p=0.2, stop=("x",), max_tokens=9)
    first, second = await ask(model, prompt), await ask(model, prompt)

    assert first.text == second.text != ""
    assert [parameter in each.body for each in provider.requests] == [True, False, False]
    renamed = "max_completion_tokens" in provider.requests[-1].body
    assert renamed == (parameter == "max_tokens")


async def test_whoever_asks_meanwhile_is_not_turned_away(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    """Both were sent with it; when the second one is refused, it is given up already."""
    turns = (Turn("user", "[[param=temperature;code=unsupported_parameter;hold=0.05]]"),)
    prompt = Prompt(system="", turns=turns, temperature=0.1)
    answers = await asyncio.gather(ask(model, prompt), ask(model, prompt))

    assert all(each.text for each in answers)
    assert len(provider.requests) == 4


async def test_a_parameter_with_a_wrong_value_is_not_given_up(
    model: OpenAICompatible, provider: FakeProvider
) -> None:
    """A limit of tokens guards money: a server that finds it too large must not get rid of it that way."""
    message = encoded("max_tokens is too large: 9. This model supports at most 8 completion tokens.")
    answer = await ask(model, question(f"[[param=max_tokens;message={message}]]", max_tokens=9))

    assert type(answer.error) is Rejected
    assert len(provider.requests) == 1


async def test_openai_itself_gets_the_limit_under_its_new_name(session: aiohttp.ClientSession) -> None:
    own = OpenAICompatible(session=session, api_key=KEY)

    assert own.provider == "openai"
    assert own.body(question("Hi", max_tokens=5))["max_completion_tokens"] == 5
