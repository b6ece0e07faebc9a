"""The adapter of Ollama over real HTTP: what it asks, how much room it asks for, and what it finds."""

import asyncio
from typing import Any

import aiohttp
import pytest

from parlour.llm.model import Image, Prompt, Tool, ToolCall, Turn
from parlour.llm.providers.ollama import SMALLEST_WINDOW, Abilities, Ollama, find
from parlour.vocabulary.errors import Garbled, ModelMissing
from tests.fakes.ollama_wire import CONTEXT_LENGTH, MODELS
from tests.fakes.provider import FakeProvider
from tests.llm.asking import ask, question

pytestmark = pytest.mark.anyio


@pytest.fixture
def model(provider: FakeProvider, session: aiohttp.ClientSession) -> Ollama:
    """Return an adapter for the fake."""
    return Ollama(session=session, base_url=provider.root, model="fake")


def window(body: dict[str, Any]) -> int:
    """Return the window that a request asks for."""
    return int(body.get("options", {}).get("num_ctx", SMALLEST_WINDOW))


async def test_the_request_is_what_ollama_documents(provider: FakeProvider, model: Ollama) -> None:
    turns = (Turn("user", "One?"), Turn("assistant", "Two."), Turn("user", "Three?"))
    prompt = Prompt(system="Count.", turns=turns, temperature=0.5, top_p=0.9, stop=("END",), max_tokens=77)
    await ask(model, prompt)

    [request] = provider.requests
    assert (request.method, request.path) == ("POST", "/api/chat")
    assert "authorization" not in request.headers
    assert request.body == {
        "model": "fake",
        "messages": [
            {"role": "system", "content": "Count."},
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "Three?"},
        ],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_predict": 77, "temperature": 0.5, "top_p": 0.9, "stop": ["END"]},
    }


async def test_a_setting_that_nobody_made_is_left_to_ollama(provider: FakeProvider, model: Ollama) -> None:
    await ask(model, "Hello?")

    assert provider.requests[0].body.keys() == {"model", "messages", "stream", "truncate", "shift"}


async def test_a_model_can_be_kept_in_memory(provider: FakeProvider, session: aiohttp.ClientSession) -> None:
    kept = Ollama(session=session, base_url=provider.base_url, model="fake", keep_alive="30m")
    await ask(kept, "Hello?")

    assert provider.requests[0].body["keep_alive"] == "30m"


async def test_tools_and_their_results_are_sent_with_names(provider: FakeProvider, model: Ollama) -> None:
    tool = Tool("get_weather", "Tell the weather.", {"type": "object", "properties": {}})
    calls = (ToolCall("call_1", "get_weather", '{"city": "Rome"}'), ToolCall("call_2", "get_weather", "no"))
    turns = (
        Turn("user", "Weather?"),
        Turn("assistant", "", tool_calls=calls),
        Turn("tool", "22 °C", tool_call_id="call_1"),
        Turn("tool", "An error.", tool_call_id="call_2"),
    )
    await ask(model, Prompt(system="", turns=turns, tools=(tool,)))

    body = provider.requests[0].body
    assert body["tools"][0]["function"]["name"] == "get_weather"
    first, second = body["messages"][1]["tool_calls"]
    assert first == {"id": "call_1", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}
    assert second["function"]["arguments"] == {"arguments": "no"}
    assert body["messages"][2] == {
        "role": "tool",
        "content": "22 °C",
        "tool_call_id": "call_1",
        "tool_name": "get_weather",
    }


@pytest.mark.parametrize(
    ("choice", "offered"), [(None, ["f", "g"]), ("required", ["f", "g"]), ("none", []), ("g", ["g"])]
)
async def test_only_the_tools_that_may_be_called_are_offered(
    provider: FakeProvider, model: Ollama, choice: str | None, offered: list[str]
) -> None:
    tools = tuple(Tool(name, "", {"type": "object"}) for name in ("f", "g"))
    turns = (Turn("user", "Hello?"),)
    await ask(model, Prompt(system="", turns=turns, tools=tools, tool_choice=choice))

    assert [each["function"]["name"] for each in provider.requests[0].body.get("tools", ())] == offered


async def test_a_picture_goes_along(provider: FakeProvider, model: Ollama) -> None:
    picture = Image("image/png", b"\x89PNG\r\n")
    await ask(model, Prompt(system="", turns=(Turn("user", "What is this?", images=(picture,)),)))

    [request] = provider.requests
    assert request.asked is not None
    assert request.asked.images == (picture.data,)
    assert request.messages[0]["content"] == "What is this?"


async def test_an_answer_in_json_is_asked_for(provider: FakeProvider, model: Ollama) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    await ask(model, Prompt(system="", turns=(Turn("user", "A number."),), output_schema=schema))

    assert provider.requests[0].body["format"] == schema


async def test_the_window_is_large_enough_for_all_and_never_shrinks(
    provider: FakeProvider, model: Ollama
) -> None:
    """Ollama would drop the beginning of a prompt without a word; and loads the model anew for each size."""
    long = "Some words that take room. " * 1_000
    for text in ("Hello?", long, "Hello?", long * 5):
        await ask(model, text)

    first, second, third, fourth = (window(each.body) for each in provider.requests)
    assert first == SMALLEST_WINDOW
    assert second >= 5_000 + 2_048
    assert third == second
    assert fourth > third
    assert all(size % SMALLEST_WINDOW == 0 for size in (second, fourth))


@pytest.mark.parametrize(
    "prompt",
    [
        question("Hello?", max_tokens=20_000),
        Prompt(system="x " * 20_000, turns=(Turn("user", "Hello?"),)),
        Prompt(system="", turns=(Turn("user", "?", images=(Image("image/png", b"x"),) * 10),)),
        Prompt(system="", turns=(Turn("user", "?"),), tools=(Tool("f", "y " * 20_000, {"type": "object"}),)),
        Prompt(
            system="",
            turns=(
                Turn("user", "?"),
                Turn("assistant", "", tool_calls=(ToolCall("1", "f", '{"a": "' + "z " * 20_000 + '"}'),)),
                Turn("tool", "1", tool_call_id="1"),
            ),
        ),
    ],
    ids=["answer", "system", "images", "tools", "calls"],
)
async def test_everything_counts_in_the_window(provider: FakeProvider, model: Ollama, prompt: Prompt) -> None:
    await ask(model, prompt)

    assert window(provider.requests[0].body) >= 20_000


async def test_a_missing_model_is_told_as_such(model: Ollama) -> None:
    answer = await ask(model, "[[status=404;code=model_not_found]]")

    assert isinstance(answer.error, ModelMissing)
    assert answer.error.cause == "HTTP 404: model 'fake' not found"


async def test_models_are_listed_and_described(provider: FakeProvider, model: Ollama) -> None:
    assert await model.models() == list(MODELS)
    assert await model.abilities() == Abilities(CONTEXT_LENGTH, tools=True, images=True)
    assert provider.requests[1].body == {"model": "fake"}


async def test_a_description_in_no_known_form_is_told_as_such(provider: FakeProvider, model: Ollama) -> None:
    provider.told = {"ollama": "html"}
    with pytest.raises(Garbled):
        await model.models()


async def test_an_ollama_is_found_with_the_models_that_can_talk(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    assert await find(session, provider.root) == ["fake:latest", "fake-small:1b"]


@pytest.mark.parametrize("how", ["gone", "silent", "hold=inf", "status=500", "html"])
async def test_what_is_no_ollama_is_not_found_and_nobody_waits_for_it(
    provider: FakeProvider, session: aiohttp.ClientSession, how: str
) -> None:
    address = provider.root
    if how == "gone":
        async with FakeProvider() as gone:
            address = gone.root
    if how == "silent":
        address = "http://192.0.2.1:11434"  # an address for documentation: nobody answers, or nobody is there
    if how not in ("gone", "silent"):
        provider.told = {"ollama": how}
    async with asyncio.timeout(2):
        found = await find(session, address)

    assert found == []
