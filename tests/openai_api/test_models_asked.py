"""Models asked by themselves, by OpenAI's Python SDK, unmodified (T-5)."""

import asyncio
import base64
import json
from typing import Any

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageParam

from parlour.vocabulary.principal import Scope
from tests.fakes.provider import FakeProvider, Request
from tests.fakes.script import Call, calling, encoded
from tests.harness import tables
from tests.harness.serving import PATIENCE, Person, Served
from tests.harness.waiting import until
from tests.openai_api.conftest import MODEL, connect, program

pytestmark = pytest.mark.anyio

PIXEL = b"\x89PNG\r\n\x1a\n"


def said(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def only_call(provider: FakeProvider, question: str) -> Request:
    (call,) = provider.calls(question)
    return call


async def test_models_and_assistants_are_listed(client: openai.AsyncOpenAI, served: Served) -> None:
    listed = await client.models.list()
    assert [each.id for each in listed.data][:2] == ["default", "auto"]
    assert MODEL in [each.id for each in listed.data]
    assert (await client.models.retrieve(MODEL)).owned_by == "openai_compatible"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("gpt-nothing")
    assert caught.value.code == "model_not_found"


async def test_a_whole_answer(client: openai.AsyncOpenAI, provider: FakeProvider) -> None:
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "Be brief."}, *said("How is the whole answer?")],
        temperature=0.3,
        top_p=0.8,
        stop=["END"],
        max_tokens=77,
    )
    choice = answer.choices[0]
    body = only_call(provider, "How is the whole answer?").body
    assert choice.message.content is not None
    assert choice.message.content.count(" ") == 19
    assert (choice.finish_reason, answer.object, answer.model) == ("stop", "chat.completion", MODEL)
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["top_p"], body["stop"]) == (0.3, 0.8, ["END"])
    assert 77 in (body.get("max_tokens"), body.get("max_completion_tokens"))


async def test_nothing_is_stored_but_the_ledger(
    served: Served, client: openai.AsyncOpenAI, user: Person
) -> None:
    before = await tables.counts(served)
    await client.chat.completions.create(model="auto", messages=said("What is kept of this?"))

    async def written() -> bool:
        return bool(await tables.rows(served, "attempts", person_id=user.id))

    await until(written, PATIENCE, "the ledger is written")
    (line,) = await tables.rows(served, "attempts", person_id=user.id)
    assert (line["provider"], line["status"], line["message_id"]) == ("openai_compatible", "answered", None)
    changed = {name for name, count in (await tables.counts(served)).items() if count != before[name]}
    assert "messages" not in changed
    assert "chat_sessions" not in changed
    assert await tables.rows(served, "runs", person_id=user.id) == []


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_stream(client: openai.AsyncOpenAI, *, include_usage: bool) -> None:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=said(f"How is the stream? {include_usage}"),
        stream=True,
        stream_options={"include_usage": include_usage},
    )
    chunks = [chunk async for chunk in stream]
    whole = await client.chat.completions.create(
        model=MODEL, messages=said(f"How is the stream? {include_usage}")
    )
    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert ends == ["stop"]
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert usages == ([whole.usage] if include_usage else [])
    assert not include_usage or chunks[-1].choices == []


async def test_the_bytes_of_a_stream_are_openais(served: Served, user: Person) -> None:
    body = {"model": MODEL, "messages": said("Which bytes? [[n=3]]"), "stream": True}
    answer = await user.request("POST", "/v1/chat/completions", body=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-request-id"]
    frames = answer.body.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    documents = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    assert {document["object"] for document in documents} == {"chat.completion.chunk"}
    assert set(documents[1]) == {"id", "object", "created", "model", "choices"}
    assert set(documents[1]["choices"][0]) == {"index", "delta", "logprobs", "finish_reason"}


async def test_the_stream_helper_and_its_events(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=said("Does the helper help?")) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content


class Point(pydantic.BaseModel):
    """What a model is asked for."""

    x: int
    y: int


async def test_an_answer_of_a_form(client: openai.AsyncOpenAI, provider: FakeProvider) -> None:
    question = f"Which point? [[text={encoded(json.dumps({'x': 3, 'y': 4}))}]]"
    parsed = await client.chat.completions.parse(model=MODEL, messages=said(question), response_format=Point)
    assert parsed.choices[0].message.parsed == Point(x=3, y=4)
    assert "response_format" in only_call(provider, "Which point?").body


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_loop_of_tools(client: openai.AsyncOpenAI, provider: FakeProvider, *, streamed: bool) -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    call = Call("weather", '{"city": "Ulm"}')
    question = f"How is the weather, streamed {streamed}? [[{calling(call)}]]"
    messages: list[Any] = said(question)
    if streamed:
        async with client.chat.completions.stream(model=MODEL, messages=messages, tools=tools) as stream:
            answer: Any = await stream.get_final_completion()
    else:
        answer = await client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    (wish,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (wish.function.name, json.loads(wish.function.arguments)) == ("weather", {"city": "Ulm"})
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [wish.to_dict()]},
        {"role": "tool", "tool_call_id": wish.id, "content": "Sunny"},
    ]
    answer = await client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    asked = provider.calls(f"streamed {streamed}?")[-1].messages
    assert [message["role"] for message in asked] == ["user", "assistant", "tool"]
    assert asked[1]["tool_calls"][0]["id"] == asked[2]["tool_call_id"] == wish.id


async def test_a_picture_reaches_a_model_that_sees(user: Person, provider: FakeProvider) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    parts = [{"type": "text", "text": "What is on it?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": MODEL, "messages": [{"role": "user", "content": parts}]}
    answer = await user.request("POST", "/v1/chat/completions", body=body)
    assert answer.status == 200, answer.body
    assert url in json.dumps(only_call(provider, "What is on it?").body)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_caller_who_leaves_ends_the_call_to_the_model(
    served: Served, user: Person, provider: FakeProvider, *, streamed: bool
) -> None:
    """T-5: within 1 s; what was used until then is in the ledger."""
    question = f"Who stays, streamed {streamed}?"
    body = {"model": MODEL, "messages": said(f"{question} [[n=2000;dt=0.02]]"), "stream": streamed}
    call = asyncio.create_task(user.request("POST", "/v1/chat/completions", body=body))

    def arrived() -> bool:
        return bool(provider.calls(question)) and provider.calls(question)[0].sent > 3

    await until(arrived, PATIENCE, "the model has begun")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    async with asyncio.timeout(1):
        await only_call(provider, question).ended.wait()
    assert only_call(provider, question).outcome == "reader gone"

    async def written() -> bool:
        lines = await tables.rows(served, "attempts", person_id=user.id)
        return [line["status"] for line in lines] == ["stopped"]

    await until(written, PATIENCE, "the ledger is written")


async def test_a_caller_who_leaves_before_the_first_word_ends_the_call(
    user: Person, provider: FakeProvider
) -> None:
    body = {"model": MODEL, "messages": said("Who waits? [[ttft=30]]"), "stream": True}
    call = asyncio.create_task(user.request("POST", "/v1/chat/completions", body=body))
    await until(lambda: bool(provider.calls("Who waits?")), PATIENCE, "the model was asked")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    async with asyncio.timeout(1):
        await only_call(provider, "Who waits?").ended.wait()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failure_before_the_first_word_is_a_status(
    client: openai.AsyncOpenAI, *, streamed: bool
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(
            model=MODEL, messages=said(f"Fails {streamed} [[status=401]]"), stream=streamed
        )
    assert caught.value.status_code == 503
    assert caught.value.code == "provider_key"
    assert caught.value.response.headers["x-should-retry"] == "false"


async def test_a_failure_in_the_middle_is_an_error_in_the_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=said("Breaks off [[n=20;event=error@5]]"), stream=True
    )
    texts: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            texts.append(chunk.choices[0].delta.content or "")

    with pytest.raises(openai.APIError) as caught:
        await read()
    assert "".join(texts)
    assert "fake" not in str(caught.value)  # M-11: no provider's own words


async def test_errors_have_their_exceptions(served: Served, client: openai.AsyncOpenAI) -> None:
    async with connect(served, "sk-nobody") as stranger:
        with pytest.raises(openai.AuthenticationError) as nobody:
            await stranger.models.list()
    assert nobody.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as nothing:
        await client.chat.completions.create(model="gpt-nothing", messages=said("x"))
    assert (nothing.value.code, nothing.value.type) == ("model_not_found", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as two:
        await client.chat.completions.create(model=MODEL, messages=said("x"), n=2)
    assert two.value.param == "n"
    with pytest.raises(openai.BadRequestError) as empty:
        await client.chat.completions.create(model=MODEL, messages=[])
    assert empty.value.param == "messages"
    with pytest.raises(openai.NotFoundError):
        await client.get("/nothing", cast_to=object)
    assert nobody.value.request_id


async def test_a_key_without_the_scope_is_refused(served: Served) -> None:
    reader = await program(served, Scope.READ)
    async with connect(served, reader.token) as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await client.chat.completions.create(model=MODEL, messages=said("x"))
    assert "chat" in str(caught.value)


async def test_visitors_ask_assistants_only(served: Served) -> None:
    visitor = await served.visitor()
    async with connect(served, visitor.token) as client:
        assert [each.id for each in (await client.models.list()).data] == ["default"]
        with pytest.raises(openai.PermissionDeniedError):
            await client.chat.completions.create(model=MODEL, messages=said("x"))


async def test_what_is_no_json_is_told_in_openais_words(user: Person) -> None:
    for data in (b"{", b"\xff", b'{"model": NaN}'):
        answer = await user.request(
            "POST", "/v1/chat/completions", data=data, headers={"Content-Type": "application/json"}
        )
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
