"""The makers' own client libraries read the same bytes the same way: text, tool calls, usage, finish.

Hypothesis writes the answers. Each is asked for twice, once by our adapter and once by the official client,
with the very same request; so the fake sends both the same bytes, and what they make of them is compared.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import ollama
import openai
import pytest
from google import genai
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from parlour.llm.model import Prompt, Tool, ToolCall, Turn
from parlour.llm.wire import anthropic_messages, chat_completions, gemini_content, ollama_chat
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Call, calling, encoded
from tests.llm.asking import ask
from tests.llm.conftest import KEY
from tests.llm.providers.kinds import ANTHROPIC, GEMINI, OLLAMA, OPENAI, Kind, Provider

pytestmark = pytest.mark.anyio

WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {}})


@dataclass(frozen=True)
class Heard:
    """What a client made of an answer."""

    text: str
    calls: list[tuple[str, str, Any]]
    finish: FinishReason | None
    usage: Usage | None


Oracle = Callable[[FakeProvider, dict[str, Any], httpx2.AsyncClient], Awaitable[Heard]]


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """Open the connections that the official clients share: to make one for each answer takes them longer
    than to read it."""
    async with httpx2.AsyncClient(verify=False) as client:  # nothing here speaks TLS
        yield client


async def _openai(provider: FakeProvider, body: dict[str, Any], http: httpx2.AsyncClient) -> Heard:
    text, finish, usage = "", None, None
    calls: dict[int, list[str]] = {}
    client = openai.AsyncOpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0, http_client=http)
    async for chunk in await client.chat.completions.create(**body):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for piece in choice.delta.tool_calls or ():
                call = calls.setdefault(piece.index, ["", "", ""])
                call[0] += piece.id or ""
                call[1] += (piece.function and piece.function.name) or ""
                call[2] += (piece.function and piece.function.arguments) or ""
    counts = usage and chat_completions.usage_of(usage.model_dump())
    whole = [(identity, name, json.loads(arguments)) for identity, name, arguments in calls.values()]
    return Heard(text, whole, chat_completions.finish_of(finish), counts)


async def _anthropic(provider: FakeProvider, body: dict[str, Any], http: httpx2.AsyncClient) -> Heard:
    asked = {name: value for name, value in body.items() if name != "stream"}
    client = anthropic.AsyncAnthropic(base_url=provider.root, api_key=KEY, max_retries=0, http_client=http)
    async with client.messages.stream(**asked) as stream:
        message = await stream.get_final_message()
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]
    finish = anthropic_messages.finish_of(message.stop_reason)
    return Heard(text, calls, finish, anthropic_messages.usage_of(message.usage.model_dump()))


async def _gemini(provider: FakeProvider, body: dict[str, Any], http: httpx2.AsyncClient) -> Heard:
    text, finish, usage = "", None, None
    calls: list[tuple[str, str, Any]] = []
    config: Any = {"system_instruction": body["systemInstruction"], "tools": body["tools"]}
    config["automatic_function_calling"] = {"disable": True}
    options = genai.types.HttpOptions(base_url=provider.root, api_version="v1beta", httpx_async_client=http)
    client = genai.Client(api_key=KEY, http_options=options)
    async for chunk in await client.aio.models.generate_content_stream(
        model="fake", contents=body["contents"], config=config
    ):
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or ():
            finish = (candidate.finish_reason and candidate.finish_reason.value) or finish
            for part in (candidate.content and candidate.content.parts) or ():
                if part.text and not part.thought:
                    text += part.text
                if part.function_call:
                    call = part.function_call
                    calls.append((call.id or "", call.name or "", call.args))
    client.close()
    counts = usage and gemini_content.usage_of(usage.model_dump(mode="json", by_alias=True))
    return Heard(text, calls, gemini_content.finish_of(finish), counts)


async def _ollama(provider: FakeProvider, body: dict[str, Any], _: httpx2.AsyncClient) -> Heard:
    text, last = "", None
    calls: list[tuple[str, str, Any]] = []
    client = ollama.AsyncClient(host=provider.root, verify=False)
    names = ("model", "messages", "stream", "tools", "options")
    chunks = await client.chat(**{name: body[name] for name in names if name in body})
    async for chunk in chunks:
        text += chunk.message.content or ""
        calls += [
            ("", each.function.name, dict(each.function.arguments)) for each in chunk.message.tool_calls or ()
        ]
        last = chunk
    await client.close()  # type: ignore[no-untyped-call]
    assert last is not None
    counts = ollama_chat.usage_of(last.model_dump())
    return Heard(text, calls, chat_completions.finish_of(last.done_reason), counts)


ORACLES: list[tuple[Kind, Oracle]] = [
    (OPENAI, _openai),
    (ANTHROPIC, _anthropic),
    (GEMINI, _gemini),
    (OLLAMA, _ollama),
]

LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
WORDS = st.text(LETTERS, max_size=120)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(LETTERS, max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)
CALLS = st.lists(st.dictionaries(st.text(LETTERS, max_size=9), VALUES, max_size=3), max_size=3)


@pytest.mark.parametrize(
    ("kind", "oracle"), ORACLES, ids=[kind.name for kind, _ in ORACLES], indirect=["kind"]
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    text=WORDS,
    arguments=CALLS,
    thoughts=st.integers(0, 2),
    finish=st.sampled_from(["stop", "length", "content_filter"]),
    how=st.sampled_from(["", ";usage=cached", ";dt=0.001", ";shape=one"]),
)
@example(text="a\n\nevent: done\ndata: [DONE]\n\n\r\r", arguments=[{}], thoughts=1, finish="stop", how="")
@example(text="\u2028\u2029\x85\x0b\x1c", arguments=[{"\u2028": "\r\n"}], thoughts=0, finish="stop", how="")
async def test_the_official_client_reads_the_same(
    model: Provider,
    provider: FakeProvider,
    http: httpx2.AsyncClient,
    kind: Kind,
    oracle: Oracle,
    text: str,
    arguments: list[dict[str, Any]],
    thoughts: int,
    finish: str,
    how: str,
) -> None:
    calls = [Call("weather", json.dumps(each), f"call_{at}") for at, each in enumerate(arguments)]
    if kind is OLLAMA:
        # Their client takes these for line ends, also inside of JSON, and breaks off.
        assume(not re.search("[\x85\u2028\u2029]", text + json.dumps(arguments, ensure_ascii=False)))
    said = encoded(">" + text)
    words = [f"preface={said}", calling(*calls)] if calls else [f"text={said}"]
    asked = f"Hello? [[{';'.join(words)};thoughts={thoughts};finish={finish}{how}]]"
    prompt = Prompt(system="Be kind.", turns=(Turn("user", asked),), tools=(WEATHER,), max_tokens=99)

    ours = await ask(model, prompt)
    theirs = await oracle(provider, model.body(prompt), http)  # type: ignore[attr-defined]

    assert ours.text == theirs.text == ">" + text
    mine = [event for event in ours.events if isinstance(event, ToolCall)]
    if kind is OPENAI and theirs.finish is not FinishReason.TOOL_CALLS:
        # Nothing tells then whether the last call is whole; what cannot be is left out.
        theirs.calls[len(mine) :] = []
    if kind is not OLLAMA:  # whose client does not tell the ids
        assert [call.id for call in mine] == [identity for identity, _, _ in theirs.calls]
    assert [(call.name, json.loads(call.arguments)) for call in mine] == [each[1:] for each in theirs.calls]
    assert ours.finish.reason is meaning(theirs)
    assert ours.finish.usage == theirs.usage


def meaning(heard: Heard) -> FinishReason | None:
    """Return the finish; some APIs have no word for one that is there because tools are called."""
    return FinishReason.TOOL_CALLS if heard.calls and heard.finish is FinishReason.STOP else heard.finish


@pytest.mark.parametrize(
    ("kind", "oracle"), ORACLES, ids=[kind.name for kind, _ in ORACLES], indirect=["kind"]
)
@pytest.mark.parametrize("directives", ["n=40", "split;n=4", "n=400;dt=0.0001"])
async def test_however_it_is_cut(
    model: Provider, provider: FakeProvider, http: httpx2.AsyncClient, oracle: Oracle, directives: str
) -> None:
    prompt = Prompt("Be kind.", (Turn("user", f"Grüße, 世界! [[{directives}]]"),), tools=(WEATHER,))
    ours = await ask(model, prompt)
    theirs = await oracle(provider, model.body(prompt), http)  # type: ignore[attr-defined]

    assert ours.text == theirs.text
    assert ours.finish.reason is theirs.finish
    assert ours.finish.usage == theirs.usage
