"""What Anthropic is asked: the documented request, marks for its cache, and what models of any age want."""

from typing import Any

import aiohttp
import pytest

from parlour.llm.model import Image, Prompt, Tool, ToolCall, Turn
from parlour.llm.prompting import GO_ON_NOW
from parlour.llm.providers.anthropic import MAX_TOKENS, Anthropic
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import RateLimited, Rejected
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.llm.asking import ask, question
from tests.llm.conftest import KEY

pytestmark = pytest.mark.anyio

MARK = {"type": "ephemeral"}
WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {}})


@pytest.fixture
def claude(provider: FakeProvider, session: aiohttp.ClientSession) -> Anthropic:
    """Return an adapter for the fake provider."""
    return Anthropic(session=session, base_url=provider.root, api_key=KEY, model="claude-test")


SAID = [
    {
        "role": "user",
        "content": [
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"},
            },
            {"type": "text", "text": "Weather?"},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Bern"}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "toolu_a",
                "content": "21 °C",
                "cache_control": MARK,
            },
        ],
    },
]


async def test_the_request_is_what_anthropic_documents(claude: Anthropic, provider: FakeProvider) -> None:
    call = ToolCall("toolu_a", "weather", '{"city": "Bern"}')
    turns = (
        Turn("user", "Weather?", images=(Image("image/png", b"png"),)),
        Turn("assistant", "Let me see.", tool_calls=(call,)),
        Turn("tool", "21 °C", tool_call_id="toolu_a"),
    )
    prompt = Prompt(
        system="Be kind.",
        turns=turns,
        tools=(WEATHER,),
        max_tokens=2_000,
        temperature=0.5,
        stop=("END",),
    )
    assert (await ask(claude, prompt)).text

    [request] = provider.requests
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["x-api-key"] == KEY
    assert request.body == {
        "model": "claude-test",
        "max_tokens": 2_000,
        "stream": True,
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "system": [{"type": "text", "text": "Be kind.", "cache_control": MARK}],
        "tools": [
            {"name": "weather", "description": "Tells the weather.", "input_schema": WEATHER.parameters}
        ],
        "tool_choice": {"type": "auto"},
        "messages": SAID,
    }


async def test_a_setting_that_nobody_made_is_left_to_the_provider(
    claude: Anthropic, provider: FakeProvider
) -> None:
    """But for the limit, which the API insists on."""
    await ask(claude, "Hello?")

    assert provider.requests[0].body.keys() == {"model", "messages", "stream", "max_tokens", "system"}
    assert provider.requests[0].body["max_tokens"] == MAX_TOKENS


def marked(body: dict[str, Any]) -> list[str]:
    """Return the texts that carry a mark for the cache."""
    blocks = [*body.get("system", ()), *(block for each in body["messages"] for block in each["content"])]
    return [block["text"] for block in blocks if "cache_control" in block]


async def test_the_cache_holds_what_the_next_turn_repeats(claude: Anthropic) -> None:
    """X-7: passages change with every turn, so that the mark stands before them; without any, at the end."""
    turns = (Turn("user", "One?"), Turn("assistant", "Two."), Turn("user", "Three?"))
    passages = (Passage("p", "d", "Guide", (), "1 2 3"),)
    plain = Prompt(system="Count.", turns=turns)

    assert marked(claude.body(plain)) == ["Count.", "Three?"]
    assert marked(claude.body(Prompt("Count.", turns, passages=passages))) == ["Count.", "Two."]
    assert marked(claude.body(Prompt("", turns[:1], passages=passages))) == []


async def test_what_the_cache_holds_is_the_same_in_the_next_turn(claude: Anthropic) -> None:
    passages = (Passage("p", "d", "Guide", (), "1 2 3"),)
    first = (Turn("user", "One?"), Turn("assistant", "Two."), Turn("user", "Three?"))
    second = (*first, Turn("assistant", "Four."), Turn("user", "Five?"))
    before = claude.body(Prompt("Count.", first, passages=passages))
    after = claude.body(Prompt("Count.", second, passages=passages))

    held = [each["content"][0]["text"] for each in before["messages"][:2]]
    assert held == ["One?", "Two."]
    assert [each["content"][0]["text"] for each in after["messages"][:2]] == held


async def test_newer_models_are_asked_to_go_on_by_the_user(claude: Anthropic) -> None:
    """From Claude 4.6 on a last message of the assistant's is refused."""
    body = claude.body(question("Tell me more", partial="Once upon"))

    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"][0]["text"] == "Once upon"
    assert body["messages"][2]["content"][0]["text"] == GO_ON_NOW


REFUSALS = [
    ("temperature", "`temperature` is deprecated for this model."),
    ("top_p", "`top_p` is not supported on this model."),
    ("tool_choice", "Thinking may not be enabled when tool_choice forces tool use."),
    ("output_config", "output_config.format: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("parameter", "message"), REFUSALS)
async def test_what_a_model_refuses_by_name_is_given_up_once(
    claude: Anthropic, provider: FakeProvider, parameter: str, message: str
) -> None:
    prompt = Prompt(
        system="",
        turns=(Turn("user", f"[[param={parameter};message={encoded(message)}]]"),),
        temperature=None if parameter == "top_p" else 0.1,
        top_p=0.5,
        tools=(WEATHER,),
        tool_choice="required",
        output_schema={"type": "object"},
    )
    first, second = await ask(claude, prompt), await ask(claude, prompt)

    assert first.text == second.text != ""
    assert [parameter in each.body for each in provider.requests] == [True, False, False]


async def test_only_one_of_two_ways_to_sample_is_asked_for(claude: Anthropic) -> None:
    """Newer models refuse both together."""
    body = claude.body(Prompt("", (Turn("user", "Hi"),), temperature=1.7, top_p=0.5))

    assert body["temperature"] == 1.0
    assert "top_p" not in body


async def test_a_parameter_with_a_wrong_value_is_not_given_up(
    claude: Anthropic, provider: FakeProvider
) -> None:
    message = encoded("temperature: range: 0..1")
    prompt = Prompt("", (Turn("user", f"[[param=temperature;message={message}]]"),), temperature=0.5)

    assert type((await ask(claude, prompt)).error) is Rejected
    assert len(provider.requests) == 1


async def test_a_limit_that_a_model_cannot_keep_is_lowered_to_its_own(
    claude: Anthropic, provider: FakeProvider
) -> None:
    message = encoded("max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens")
    asked = question(f"[[status=400;times=1;message={message}]]", max_tokens=100_000)

    assert (await ask(claude, asked)).text
    assert [each.body["max_tokens"] for each in provider.requests] == [100_000, 64_000]


async def test_an_answer_in_json_is_asked_for_by_its_schema(claude: Anthropic) -> None:
    """Anthropic wants every object closed in so many words."""
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    schema = {"type": "object", "properties": {"list": {"type": "array", "items": inner}}}
    body = claude.body(Prompt("", (Turn("user", "Hi"),), output_schema=schema))

    asked = body["output_config"]["format"]
    assert asked["type"] == "json_schema"
    assert asked["schema"]["additionalProperties"] is False
    assert asked["schema"]["properties"]["list"]["items"]["additionalProperties"] is False
    assert "additionalProperties" not in inner


async def test_a_model_without_schemas_is_asked_in_words(claude: Anthropic, provider: FakeProvider) -> None:
    message = encoded("output_config.format: this schema is too complex")
    turns = (Turn("user", f"[[status=400;times=1;message={message}]]"),)
    answer = await ask(claude, Prompt("", turns, output_schema={"type": "object", "title": "Weather"}))

    assert answer.text
    assert '"title":"Weather"' in provider.requests[-1].body["system"][-1]["text"]


@pytest.mark.parametrize(
    "message",
    [
        "output_config.format.schema: 'oneOf' is not supported",
        "output_config.format.schema.properties.temperature: tool_choice, thinking: not supported",
        "output_config.format: this schema is too complex, max_tokens: 100 > 1",
    ],
)
async def test_what_is_wrong_with_one_schema_is_no_matter_of_the_next(
    claude: Anthropic, provider: FakeProvider, message: str
) -> None:
    def asked(text: str) -> Prompt:
        schema = {"type": "object", "title": "Weather"}
        return Prompt("", (Turn("user", text),), temperature=0.1, max_tokens=100, output_schema=schema)

    first = await ask(claude, asked(f"[[param=output_config;message={encoded(message)}]]"))
    second = await ask(claude, asked("Hello?"))

    assert first.text
    assert second.text
    bodies = [each.body for each in provider.requests]
    assert ["output_config" in each for each in bodies] == [True, False, True]
    assert {(each["temperature"], each["max_tokens"], each["thinking"]["type"]) for each in bodies} == {
        (0.1, 100, "disabled")
    }


async def test_no_money_left_is_nothing_to_wait_for(claude: Anthropic) -> None:
    message = encoded("Your credit balance is too low to access the Anthropic API.")
    answer = await ask(claude, f"[[status=400;message={message}]]")

    assert type(answer.error) is RateLimited
    assert answer.error.retry_after is None


@pytest.mark.parametrize("address", ["", "/", "/v1", "/v1/"])
async def test_a_base_url_with_its_version_is_understood(
    provider: FakeProvider, session: aiohttp.ClientSession, address: str
) -> None:
    claude = Anthropic(session=session, base_url=provider.root + address, model="claude-test")

    assert (await ask(claude, "Hello?")).text


async def test_a_short_answer_is_asked_for_without_thinking(
    claude: Anthropic, provider: FakeProvider
) -> None:
    """A title of thirty tokens would be thought away. How to say so depends on the model's age."""
    cannot = encoded('"thinking.type.disabled" is not supported for this model.')
    neither = encoded("thinking: Input should be 'adaptive'")
    asked = [
        question(f"Title? [[status=400;times=1;message={said}]]", max_tokens=30) for said in (cannot, neither)
    ]
    for each in asked:
        assert (await ask(claude, each)).text

    told = [each.body.get("thinking", {}).get("type") for each in provider.requests]
    assert told == ["disabled", "between_tools", "between_tools", None]
    assert "thinking" not in claude.body(question("Hi"))
