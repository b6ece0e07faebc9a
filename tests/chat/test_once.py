"""A message that is sent again is the same message; two at once stay in order."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.fakes.provider import FakeProvider
from tests.harness.serving import Answer, Person, answers
from tests.harness.sse import read_all
from tests.harness.tables import rows

pytestmark = pytest.mark.anyio


async def post(person: Person, headers: dict[str, str] | None = None, **body: Any) -> Answer:  # noqa: ANN401
    return await person.request("POST", "/api/chat", body=body, headers=headers)


async def test_a_hundred_parallel_sends_with_one_id_are_one_message(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-7, A-062, P-02, B-2"""
    question, key = f"Only once {uuid4()} [[n=5;ttft=0.1]]", str(uuid4())

    async def insist() -> Answer:
        """Send it; a busy database may refuse for now, and whoever is told to comes again."""
        answer = await post(visitor, message=question, clientMessageId=key)
        if answer.status != 503:
            return answer
        await asyncio.sleep(int(answer.headers.get("Retry-After", "1")))
        return await insist()

    got = await asyncio.gather(*(insist() for _ in range(100)))
    assert {answer.status for answer in got} == {200}
    assert len({answer.body for answer in got}) == 1, "100 equal replies"
    assert len(answers(provider, question)) == 1
    assert len(await rows(visitor.served, "messages", person_id=visitor.id)) == 2
    assert len(await rows(visitor.served, "runs", person_id=visitor.id)) == 1
    assert len(await rows(visitor.served, "chat_sessions", person_id=visitor.id)) == 1
    assert len([answer for answer in got if "Idempotent-Replayed" not in answer.headers]) == 1


async def test_parallel_sends_with_one_id_into_one_session_are_one_message_too(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-7, C-8"""
    session, question, key = await visitor.session(), f"Into one {uuid4()} [[n=3]]", str(uuid4())
    got = await asyncio.gather(
        *(post(visitor, message=question, clientMessageId=key, sessionId=session) for _ in range(20))
    )
    assert {answer.status for answer in got} == {200}
    assert len({answer.body for answer in got}) == 1
    assert len(answers(provider, question)) == 1
    assert len(await visitor.messages(session)) == 2


async def test_a_message_sent_again_later_gets_the_same_reply_in_either_form(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-7: by field, by header, whole and streamed"""
    question, key = f"Again {uuid4()} [[n=4]]", str(uuid4())
    first = await post(visitor, message=question, clientMessageId=key)
    later = await post(visitor, {"Idempotency-Key": key}, message=question)
    assert (later.status, later.body) == (200, first.body)
    assert later.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    streamed = await post(visitor, {"Idempotency-Key": key}, message=question, stream=True)
    assert streamed.headers["Idempotent-Replayed"] == "true"
    reader = read_all(streamed.body)
    assert reader.text == first.json["response"]
    assert reader.frames[0].value["runId"] == first.json["runId"]
    inside = await visitor.request(
        "POST",
        f"/api/chat/sessions/{first.json['sessionId']}/messages",
        body={"message": question, "clientMessageId": key},
    )
    assert inside.body == first.body
    assert len(answers(provider, question)) == 1


async def test_a_message_sent_again_while_it_is_answered_joins_the_answer(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-7"""
    question, key = f"Join {uuid4()} [[n=10;dt=0.02]]", str(uuid4())
    async with visitor.stream(question, clientMessageId=key) as first:
        await first.begun()
        async with visitor.stream(question, clientMessageId=key) as second:
            await asyncio.gather(first.rest(), second.rest())
    assert second.reader.frames == first.reader.frames
    assert len(answers(provider, question)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"message": "Something else"},
        {"message": "What I said ", "model": None},
        {"context": {"page": "/"}},
        {"model": "builtin"},
        {"sessionId": "another"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_the_same_id_with_other_content_is_refused(visitor: Person, other: dict[str, Any]) -> None:
    """C-7, A-061"""
    key = str(uuid4())
    first = await post(visitor, message="What I said", clientMessageId=key)
    if "sessionId" in other:
        other = {"sessionId": await visitor.session()}
    before = await rows(visitor.served, "messages", person_id=visitor.id)
    refused = await post(visitor, **{"message": "What I said", "clientMessageId": key, **other})
    assert (refused.status, refused.json["code"], refused.json["retryable"]) == (409, "conflict", False)
    assert await rows(visitor.served, "messages", person_id=visitor.id) == before
    assert first.status == 200


async def test_the_same_id_of_two_people_means_two_messages(visitor: Person, stranger: Person) -> None:
    """A-061"""
    key = str(uuid4())
    mine = await visitor.send("Mine [[n=2]]", clientMessageId=key)
    theirs = await stranger.send("Theirs [[n=2]]", clientMessageId=key)
    assert mine["runId"] != theirs["runId"]
    assert mine["sessionId"] != theirs["sessionId"]


@pytest.mark.parametrize("key", ["", "x" * 65, "\0", "\ud800"])
async def test_an_id_that_cannot_be_kept_is_refused(visitor: Person, key: str) -> None:
    """C-7, C-10"""
    answer = await post(visitor, message="Hello", clientMessageId=key)
    assert answer.status == 422
    assert await rows(visitor.served, "messages", person_id=visitor.id) == []


async def test_a_message_to_a_deleted_session_is_not_answered_again(visitor: Person) -> None:
    """C-7, C-1"""
    key = str(uuid4())
    first = await visitor.send("Then deleted [[n=2]]", clientMessageId=key)
    await visitor.ok("DELETE", f"/api/chat/sessions/{first['sessionId']}")
    assert (await post(visitor, message="Then deleted [[n=2]]", clientMessageId=key)).status == 404


async def test_two_sends_at_once_are_ordered_and_each_sees_the_one_before(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-8, F-053"""
    await check_order(visitor, provider, 2)


async def test_ten_sends_at_once_are_ordered_and_each_sees_all_before(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-8, F-053"""
    await check_order(visitor, provider, 10)


async def check_order(visitor: Person, provider: FakeProvider, count: int) -> None:
    session, mark = await visitor.session(), uuid4().hex
    replies = await asyncio.gather(
        *(visitor.send(f"Number {n} {mark} [[n=3]]", sessionId=session) for n in range(count))
    )
    told = await visitor.messages(session)
    assert [each["role"] for each in told] == ["user", "assistant"] * count
    assert [each["parentId"] for each in told] == [None, *(each["id"] for each in told[:-1])], "one line"
    assert {each["id"] for each in told[1::2]} == {reply["messageId"] for reply in replies}
    for place in range(0, len(told), 2):
        (call,) = [c for c in answers(provider, mark) if c.question == told[place]["content"]]
        seen = [(each["role"], each["content"]) for each in call.messages[1:]]
        assert seen == [(each["role"], each["content"]) for each in told[: place + 1]]
    assert [call.question for call in answers(provider, mark)] == [each["content"] for each in told[::2]], (
        "one after the other"
    )
    (stored,) = await rows(visitor.served, "chat_sessions", id=session)
    assert stored["message_count"] == 2 * count
