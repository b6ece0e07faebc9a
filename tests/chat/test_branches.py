"""Replies beside replies, messages beside messages, and what people think of them."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.fakes.provider import FakeProvider
from tests.harness.serving import Person, answers
from tests.harness.tables import rows

pytestmark = pytest.mark.anyio


async def regenerate(person: Person, message_id: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = await person.ok("POST", f"/api/chat/messages/{message_id}/regenerate", fields)
    return found


async def test_another_reply_stands_beside_the_first_and_is_the_one_in_view(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-6: nothing is overwritten"""
    question = f"Twice {uuid4()} [[n=3]]"
    first = await visitor.send(question)
    second = await regenerate(visitor, first["messageId"])
    assert second["userMessageId"] == first["userMessageId"]
    assert second["messageId"] != first["messageId"]
    assert second["message"]["parentId"] == first["userMessageId"]
    asked, shown = await visitor.messages(first["sessionId"])
    assert (asked["id"], shown) == (first["userMessageId"], second["message"])
    assert shown["siblings"] == [first["messageId"], second["messageId"]]
    (stored,) = await rows(visitor.served, "messages", id=first["messageId"])
    assert stored["content"] == first["response"]
    calls = answers(provider, question)
    assert len(calls) == 2
    assert calls[0].messages == calls[1].messages, "the model does not see the reply that it replaces"


async def test_another_reply_may_be_of_another_model(visitor: Person) -> None:
    """C-6, M-3"""
    first = await visitor.send("Hello [[n=2]]")
    second = await regenerate(visitor, first["messageId"], model="builtin")
    assert (first["provider"], second["provider"]) == ("openai_compatible", "builtin")
    refused = await visitor.request(
        "POST", f"/api/chat/messages/{first['messageId']}/regenerate", body={"model": "none"}
    )
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "model")


async def test_another_reply_is_streamed_when_asked_for(visitor: Person) -> None:
    """C-6, T-1"""
    first = await visitor.send("Hello [[n=4]]")
    path = f"/api/chat/messages/{first['messageId']}/regenerate"
    answer = await visitor.request("POST", path, body={"stream": True})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    (_, shown) = await visitor.messages(first["sessionId"])
    assert shown["id"].encode() in answer.body


async def test_another_reply_that_is_asked_for_twice_is_made_once(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-6, C-7"""
    question, key = f"Regenerate once {uuid4()} [[n=2]]", str(uuid4())
    first = await visitor.send(question)
    path = f"/api/chat/messages/{first['messageId']}/regenerate"
    got = await asyncio.gather(
        *(visitor.request("POST", path, body={"clientMessageId": key}) for _ in range(10)),
        *(visitor.request("POST", path, headers={"Idempotency-Key": key}) for _ in range(10)),
    )
    assert {answer.status for answer in got} == {200}
    assert len({answer.body for answer in got}) == 1
    assert len(answers(provider, question)) == 2
    other = await visitor.request("POST", path, body={"clientMessageId": key, "model": "builtin"})
    assert other.status == 409
    as_message = await visitor.request("POST", "/api/chat", body={"message": "Hello", "clientMessageId": key})
    assert as_message.status == 409


async def test_a_user_message_cannot_be_regenerated(visitor: Person) -> None:
    """C-6"""
    first = await visitor.send("Hello [[n=2]]")
    path = f"/api/chat/messages/{first['userMessageId']}/regenerate"
    assert (await visitor.request("POST", path)).status == 404


async def test_a_message_may_follow_an_earlier_reply_and_sees_that_branch_only(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-6: parentId"""
    mark = uuid4().hex
    first = await visitor.send(f"First {mark} [[n=2]]")
    session = first["sessionId"]
    second = await visitor.send(f"Second {mark} [[n=2]]", sessionId=session)
    branch = await visitor.send(f"Instead {mark} [[n=2]]", sessionId=session, parentId=first["messageId"])
    shown = await visitor.messages(session)
    assert [each["id"] for each in shown] == [
        *(first["userMessageId"], first["messageId"], branch["userMessageId"], branch["messageId"])
    ]
    assert shown[2]["siblings"] == [second["userMessageId"], branch["userMessageId"]]
    (call,) = answers(provider, f"Instead {mark}")
    assert [each["content"] for each in call.messages[1:]] == [each["content"] for each in shown[:3]]
    for wrong in (first["userMessageId"], second["sessionId"], str(uuid4())):
        refused = await visitor.request(
            "POST", "/api/chat", body={"message": "a", "sessionId": session, "parentId": wrong}
        )
        assert refused.status == 404


async def test_a_reply_of_another_session_is_no_parent_here(visitor: Person) -> None:
    """C-6, A-041"""
    one, other = await visitor.send("One [[n=1]]"), await visitor.send("Other [[n=1]]")
    refused = await visitor.request(
        "POST",
        "/api/chat",
        body={"message": "a", "sessionId": one["sessionId"], "parentId": other["messageId"]},
    )
    assert refused.status == 404


async def test_regenerating_while_an_answer_runs_waits_its_turn(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-6, C-8, F-054"""
    mark = uuid4().hex
    first = await visitor.send(f"Ask {mark} [[n=2]]")
    async with visitor.stream(f"Busy {mark} [[n=3;ttft=0.3]]", sessionId=first["sessionId"]) as busy:
        await busy.begun("start")
        second = await regenerate(visitor, first["messageId"])
        assert busy.reader.done or (await busy.rest()).done
    assert second["message"]["status"] == "completed"
    assert [call.question.split()[0] for call in answers(provider, mark)] == ["Ask", "Busy", "Ask"]


async def test_feedback_is_kept_changed_and_taken_back(visitor: Person) -> None:
    """C-9"""
    reply = await visitor.send("Hello [[n=2]]")
    path = f"/api/chat/messages/{reply['messageId']}/feedback"
    steps: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
        ({"rating": "up"}, {"rating": "up", "text": None}),
        (
            {"rating": "down", "text": "Nicht gut \N{PILE OF POO}"},
            {"rating": "down", "text": "Nicht gut \N{PILE OF POO}"},
        ),
        ({"rating": None}, None),
    ]
    for body, kept in steps:
        changed = await visitor.ok("PUT", path, body)
        assert changed["feedback"] == kept
        assert await visitor.message(reply["sessionId"], reply["messageId"]) == changed
    assert len(await rows(visitor.served, "feedback", message_id=reply["messageId"])) == 1


async def test_feedback_given_many_times_at_once_is_one(visitor: Person) -> None:
    """C-9"""
    reply = await visitor.send("Hello [[n=2]]")
    path = f"/api/chat/messages/{reply['messageId']}/feedback"
    got = await asyncio.gather(
        *(visitor.request("PUT", path, body={"rating": rating}) for rating in ("up", "down") * 8)
    )
    assert {answer.status for answer in got} == {200}
    assert len(await rows(visitor.served, "feedback", message_id=reply["messageId"])) == 1


async def test_only_replies_of_ones_own_can_be_judged(visitor: Person, stranger: Person) -> None:
    """C-9, A-041"""
    reply = await visitor.send("Hello [[n=2]]")
    own = f"/api/chat/messages/{reply['userMessageId']}/feedback"
    assert (await visitor.request("PUT", own, body={"rating": "up"})).status == 404
    theirs = f"/api/chat/messages/{reply['messageId']}/feedback"
    assert (await stranger.request("PUT", theirs, body={"rating": "up"})).status == 404
    assert await rows(visitor.served, "feedback", message_id=reply["messageId"]) == []
