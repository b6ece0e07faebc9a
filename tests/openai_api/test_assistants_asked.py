"""Assistants asked by OpenAI's Python SDK, unmodified: the same turn as through every other door (T-5)."""

import asyncio
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from parlour.vocabulary.principal import Scope
from tests.fakes.provider import FakeProvider
from tests.harness.serving import PATIENCE, Person, Served, answers
from tests.harness.waiting import until
from tests.openai_api.conftest import connect, program

pytestmark = pytest.mark.anyio


def said(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def beside(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - what the SDK keeps of fields it does not know
    found: dict[str, Any] = answer.model_extra["parlour"]
    return found


async def test_a_whole_reply_is_the_stored_message(client: openai.AsyncOpenAI, user: Person) -> None:
    answer = await client.chat.completions.create(model="default", messages=said("Is this kept?"))
    ids = beside(answer)
    stored = await user.message(ids["session_id"], ids["message_id"])
    assert answer.choices[0].message.content == stored["content"]
    assert (answer.model, answer.choices[0].finish_reason) == ("default", "stop")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == stored["usage"]["inputTokens"]
    assert ids["citations"] == []


async def test_a_streamed_reply_is_the_stored_message(client: openai.AsyncOpenAI, user: Person) -> None:
    stream = await client.chat.completions.create(
        model="default",
        messages=said("Is the stream kept?"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    ids = beside(chunks[-2])
    stored = await user.message(ids["session_id"], ids["message_id"])
    assert "".join(each.choices[0].delta.content or "" for each in chunks[:-1]) == stored["content"]
    assert [each.choices[0].finish_reason for each in chunks[:-1] if each.choices[0].finish_reason] == [
        "stop"
    ]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == stored["usage"]["outputTokens"]


async def test_earlier_messages_become_the_history_of_a_new_session(
    client: openai.AsyncOpenAI, user: Person, provider: FakeProvider
) -> None:
    answer = await client.chat.completions.create(
        model="default",
        messages=[
            {"role": "system", "content": "You are a pirate."},
            *said("My name is Ada"),
            {"role": "assistant", "content": "Hello Ada"},
            *said("Who am I then?"),
        ],
    )
    kept = await user.messages(beside(answer)["session_id"])
    assert [(each["role"], each["content"]) for each in kept][:3] == [
        ("user", "My name is Ada"),
        ("assistant", "Hello Ada"),
        ("user", "Who am I then?"),
    ]
    asked = answers(provider, "Who am I then?")[0].messages
    assert [message["content"] for message in asked[1:3]] == ["My name is Ada", "Hello Ada"]
    assert "pirate" not in str(asked)  # an assistant has its own instructions


@pytest.mark.parametrize("by", ["header", "metadata"])
async def test_a_session_goes_on(
    client: openai.AsyncOpenAI, user: Person, provider: FakeProvider, by: str
) -> None:
    first = await client.chat.completions.with_raw_response.create(
        model="default", messages=said(f"First by {by}")
    )
    session_id = first.headers["x-session-id"]
    named: Any = (
        {"extra_headers": {"X-Session-Id": session_id}}
        if by == "header"
        else {"metadata": {"session_id": session_id}}
    )
    second = await client.chat.completions.create(
        model="default", messages=[*said("Something that was never said"), *said(f"Second by {by}")], **named
    )
    assert beside(second)["session_id"] == session_id
    kept = [each["content"] for each in await user.messages(session_id) if each["role"] == "user"]
    assert kept == [f"First by {by}", f"Second by {by}"]
    asked = answers(provider, f"Second by {by}")[0].messages
    assert f"First by {by}" in [message["content"] for message in asked]


async def test_each_user_of_the_caller_has_a_session_where_the_caller_wants_that(
    client: openai.AsyncOpenAI, user: Person
) -> None:
    async def session(name: str, **more: Any) -> str:  # noqa: ANN401
        answer = await client.chat.completions.create(
            model="default", messages=said(f"I am {name}"), user=name, **more
        )
        found: str = beside(answer)["session_id"]
        return found

    wanted = {"metadata": {"session": "user"}}
    ada = await session("ada", **wanted)
    assert await session("ada", **wanted) == ada
    assert await session("ada") != ada  # a user alone means nothing
    assert await session("grace", **wanted) != ada
    await user.ok("DELETE", f"/api/chat/sessions/{ada}")
    anew = await session("ada", **wanted)
    assert anew != ada
    assert [await session("ada", **wanted) for _ in range(2)] == [anew, anew]


async def test_a_users_first_requests_at_once_find_one_session(
    client: openai.AsyncOpenAI,
) -> None:
    calls = [
        client.chat.completions.create(
            model="default", messages=said(f"Number {place}"), user="eve", metadata={"session": "user"}
        )
        for place in range(5)
    ]
    assert len({beside(answer)["session_id"] for answer in await asyncio.gather(*calls)}) == 1


async def test_another_key_has_other_users(client: openai.AsyncOpenAI, served: Served) -> None:
    other = await program(served, Scope.CHAT)
    async with connect(served, other.token) as stranger:
        ids = [
            beside(
                await each.chat.completions.create(
                    model="default", messages=said("Hi"), user="same", metadata={"session": "user"}
                )
            )["session_id"]
            for each in (client, stranger)
        ]
    assert ids[0] != ids[1]


async def test_somebody_elses_session_is_not_found(client: openai.AsyncOpenAI, served: Served) -> None:
    stranger = await served.visitor()
    session_id = (await stranger.send("Mine alone"))["sessionId"]
    for wrong in (session_id, "nothing"):
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(
                model="default", messages=said("x"), extra_headers={"X-Session-Id": wrong}
            )


async def test_a_send_that_is_repeated_is_answered_once(
    client: openai.AsyncOpenAI, provider: FakeProvider
) -> None:
    """C-7"""
    headers = {"Idempotency-Key": "once-and-for-all"}
    ids = [
        answer.id
        for _ in range(2)
        if (
            answer := await client.chat.completions.create(
                model="default", messages=said("Ask me once"), extra_headers=headers
            )
        )
    ]
    assert len(set(ids)) == 1
    assert len(answers(provider, "Ask me once")) == 1


async def test_a_reader_who_leaves_does_not_end_the_reply(user: Person, provider: FakeProvider) -> None:
    """P-08"""
    body = {"model": "default", "messages": said("Who reads on? [[n=50;dt=0.01]]"), "stream": True}
    call = asyncio.create_task(user.request("POST", "/v1/chat/completions", body=body))
    await until(lambda: bool(answers(provider, "Who reads on?")), PATIENCE, "the model was asked")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    asked = answers(provider, "Who reads on?")[0]
    await asyncio.wait_for(asked.ended.wait(), PATIENCE)
    assert asked.outcome == "finished"


async def test_a_failed_reply_is_an_error(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as whole:
        await client.chat.completions.create(model="default", messages=said("Fails whole [[status=401]]"))
    assert whole.value.code == "provider_key"
    stream = await client.chat.completions.create(
        model="default", messages=said("Fails streamed [[status=401]]"), stream=True
    )
    with pytest.raises(openai.APIError) as streamed:
        async for _ in stream:
            pass
    assert streamed.value.code == "provider_key"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"metadata": {"session_id": 1}}, "metadata.session_id"),
        ({"metadata": {"session": "mine"}}, "metadata.session"),
        ({"metadata": {"session": "user"}}, "user"),
        ({"messages": [{"role": "user", "content": "x" * 10_001}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
    ],
)
async def test_what_an_assistant_cannot_do_is_told(
    client: openai.AsyncOpenAI, fields: dict[str, Any], param: str
) -> None:
    wanted: Any = {"model": "default", "messages": said("x")} | fields
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**wanted)
    assert caught.value.param == param


async def test_no_more_of_the_history_is_kept_than_a_model_is_shown(
    client: openai.AsyncOpenAI, user: Person
) -> None:
    earlier = [turn for number in range(200) for turn in said(f"Line {number}")]
    answer = await client.chat.completions.create(model="default", messages=[*earlier, *said("And now?")])
    kept = await user.messages(beside(answer)["session_id"])
    assert [each["content"] for each in kept][:-1] == [
        *(f"Line {number}" for number in range(180, 200)),
        "And now?",
    ]


async def test_each_message_of_the_history_is_as_short_as_any_other(
    client: openai.AsyncOpenAI, user: Person
) -> None:
    """C-10; an answer that some other model gave is cut"""
    with pytest.raises(openai.BadRequestError, match="over the limit"):
        await client.chat.completions.create(model="default", messages=[*said("x" * 10_001), *said("Hm?")])
    answer = await client.chat.completions.create(
        model="default",
        messages=[*said("Talk"), {"role": "assistant", "content": "y" * 10_001}, *said("Hm?")],
    )
    kept = await user.messages(beside(answer)["session_id"])
    assert kept[1]["content"] == "y" * 10_000


async def test_the_history_counts_towards_the_limits(client: openai.AsyncOpenAI) -> None:
    left = []
    for earlier in ([], said("word " * 1_900)):
        answer = await client.chat.completions.with_raw_response.create(
            model="default", messages=[*earlier, *said("Hm?")], stream=True
        )
        left.append(int(answer.headers["x-ratelimit-remaining-tokens"]))
    assert left[0] - left[1] > 1_900
