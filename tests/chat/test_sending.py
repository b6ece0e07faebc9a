"""Send a message and get the reply: what it carries, what is kept, and that it outlives whoever asked."""

import asyncio

import pytest

from parlour.features.chat import replies
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.harness.serving import Person, answers, asked, serving, settings
from tests.harness.tables import rows

pytestmark = pytest.mark.anyio


async def test_a_reply_carries_everything_about_itself_and_all_of_it_is_stored(visitor: Person) -> None:
    """C-2"""
    reply = await visitor.send("How are you? [[n=3;usage=cached]]")
    assert reply["model"] == "fake"
    assert reply["provider"] == "openai_compatible"
    assert reply["agent"] == "Parlour"
    assert reply["citations"] == []
    assert reply["usage"]["outputTokens"] == 3
    assert reply["usage"]["inputTokens"] > reply["usage"]["cachedTokens"] > 0
    assert reply["usage"]["estimated"] is False
    assert reply["costUsd"] is None, "an unknown price is unknown, not zero"
    assert 0 <= reply["ttftMs"] <= reply["latencyMs"]
    assert reply["response"] == reply["message"]["content"]
    said, stored = await visitor.messages(reply["sessionId"])
    assert stored == reply["message"]
    assert (said["id"], said["role"], said["status"]) == (reply["userMessageId"], "user", "completed")
    assert said["content"] == "How are you? [[n=3;usage=cached]]"
    assert (stored["id"], stored["runId"]) == (reply["messageId"], reply["runId"])
    assert (stored["status"], stored["finishReason"], stored["error"]) == ("completed", "stop", None)
    for name in ("model", "provider", "agent", "citations", "usage", "costUsd", "latencyMs", "ttftMs"):
        assert stored[name] == reply[name], name


async def test_the_built_in_model_answers_with_citations_that_are_stored(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """C-2, M-1, K-4"""
    async with serving(settings(tmp_path_factory.mktemp("parlour"), knowledge=True)) as served:
        visitor = await served.visitor()
        reply = await visitor.send("How do I connect OpenAI?")
        stored = await visitor.message(reply["sessionId"], reply["messageId"])
        assert reply["provider"] == "builtin"
        assert "OpenAI" in reply["message"]["content"]
        assert [each["number"] for each in reply["citations"]] == sorted(
            {each["number"] for each in reply["citations"]}
        )
        assert set(reply["citations"][0]) == {
            *("number", "passageId", "documentId", "title", "documentTitle", "quote", "url", "page")
        }
        assert all(f"[{each['number']}]" in reply["response"] for each in reply["citations"])
        assert stored["citations"] == reply["citations"] != []


async def test_a_client_that_leaves_at_once_finds_the_whole_answer_later(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-3, P-08, F-046"""
    async with visitor.stream("Leave [[n=30;dt=0.005]]") as stream:
        start = (await stream.until("start")).value
    await visitor.ended(start["runId"])
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert stored["status"] == "completed"
    assert len(stored["content"].split()) == 30
    assert len(answers(provider, "Leave")) == 1


async def test_a_whole_reply_goes_on_when_its_client_hangs_up(
    visitor: Person, provider: FakeProvider
) -> None:
    """C-3, D11"""
    session = await visitor.session()
    asking = asyncio.ensure_future(visitor.send("Hang up on this [[n=30;dt=0.01]]", sessionId=session))
    await asked(provider, "Hang up on this")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    _, pending = await visitor.messages(session)
    await visitor.ended(pending["runId"])
    _, stored = await visitor.messages(session)
    assert stored["status"] == "completed"
    assert len(stored["content"].split()) == 30


async def test_a_reply_that_takes_too_long_is_answered_with_its_ids(
    visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-2: 202 after the limit"""
    monkeypatch.setattr(replies, "WHOLE_REPLY_SECONDS", 0.3)
    answer = await visitor.request("POST", "/api/chat", body={"message": "Slowly [[n=5;ttft=0.7]]"})
    ids = answer.json
    assert answer.status == 202
    assert ids["status"] == "streaming"
    assert (await visitor.ended(ids["runId"]))["status"] == "completed"
    said, stored = await visitor.messages(ids["sessionId"])
    assert (said["id"], stored["id"]) == (ids["userMessageId"], ids["messageId"])
    assert len(stored["content"].split()) == 5


async def test_a_whole_reply_that_fails_is_a_problem_with_the_runs_id(visitor: Person) -> None:
    """C-2, M-11"""
    secret = encoded("the key sk-live-abcdef is wrong")
    answer = await visitor.request(
        "POST", "/api/chat", body={"message": f"Fail [[status=401;message={secret}]]"}
    )
    problem = answer.json
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (problem["code"], problem["retryable"], problem["status"]) == ("provider_key", False, 503)
    assert b"sk-live" not in answer.body
    run = await visitor.run(problem["runId"])
    assert (run["status"], run["error"]["code"]) == ("failed", "provider_key")
    stored = await visitor.message(run["sessionId"], run["messageId"])
    assert stored["error"] == run["error"]
    assert stored["content"] == ""


async def test_what_was_said_before_a_failure_is_kept_and_the_next_turn_works(visitor: Person) -> None:
    """M-6, P-03"""
    answer = await visitor.request("POST", "/api/chat", body={"message": "Break [[n=9;rst@4]]"})
    run = await visitor.run(answer.json["runId"])
    _, broken = await visitor.messages(run["sessionId"])
    assert (answer.status, broken["status"]) == (503, "failed")
    assert len(broken["content"].split()) == 4
    reply = await visitor.send("And now? [[n=2]]", sessionId=run["sessionId"])
    assert reply["message"]["parentId"] == reply["userMessageId"]
    assert [each["status"] for each in await visitor.messages(run["sessionId"])] == [
        *("completed", "failed", "completed", "completed")
    ]


@pytest.mark.parametrize("hostile", ["nul", "surrogate", "pair"])
async def test_what_a_model_says_can_always_be_stored_and_sent(visitor: Person, hostile: str) -> None:
    """D1, D2, F-092"""
    async with visitor.stream(f"Say it [[hostile={hostile}]]") as stream:
        reader = await stream.rest()
    start = reader.frames[0].value
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert stored["status"] == "completed"
    assert stored["content"].startswith("before")
    assert reader.text == stored["content"]
    assert "\0" not in stored["content"]


async def test_the_model_is_given_the_conversation_in_the_order_it_was_said(
    visitor: Person, provider: FakeProvider
) -> None:
    """X-2"""
    first = await visitor.send("One [[n=2]]")
    await visitor.send("Two [[n=2]]", sessionId=first["sessionId"])
    await visitor.send("Three, the last [[n=2]]", sessionId=first["sessionId"])
    (call,) = answers(provider, "Three, the last")
    roles = [each["role"] for each in call.messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    said = [each["content"] for each in await visitor.messages(first["sessionId"])]
    assert [each["content"] for each in call.messages[1:]] == said[:-1]


async def test_a_visitor_has_no_row_before_the_first_write(visitor: Person) -> None:
    """S-9"""
    assert await visitor.sessions() == []
    assert await rows(visitor.served, "people", id=visitor.id) == []
    await visitor.session()
    assert len(await rows(visitor.served, "people", id=visitor.id)) == 1
