"""Four providers behind one server: each answers, any of them may fail, and the reader gets one answer."""

from typing import Any

import pytest

from tests.fakes.answers import answer_pieces
from tests.fakes.ollama_wire import CONTEXT_LENGTH
from tests.fakes.provider import FakeProvider
from tests.fakes.script import script_of
from tests.harness.serving import Person
from tests.orchestra.conftest import FOUR

pytestmark = pytest.mark.anyio

SERVICES = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini", "ollama": "ollama"}
QUESTION = "What is new? [[n=12]]"


def whole(question: str = QUESTION) -> str:
    """Return the answer that every fake gives to a question."""
    return "".join(answer_pieces(question, script_of("fake", question), []))


async def ledger(person: Person, message_id: str) -> list[dict[str, Any]]:
    """Return every call that was made for an answer."""
    items: list[dict[str, Any]] = (await person.ok("GET", f"/api/chat/messages/{message_id}/attempts"))[
        "items"
    ]
    return items


@pytest.mark.parametrize("name", FOUR)
async def test_each_provider_answers_who_asks_for_it(visitor: Person, name: str) -> None:
    """M-1, M-3, M-7"""
    reply = await visitor.send(QUESTION, model=name)
    assert (reply["message"]["content"], reply["provider"]) == (whole(), FOUR[name])
    assert reply["why"] == "You asked for it."
    assert reply["usage"]["inputTokens"] > 0
    assert reply["usage"]["outputTokens"] > 0
    assert not reply["usage"]["estimated"]
    (call,) = await ledger(visitor, reply["messageId"])
    assert (call["provider"], call["status"], call["error"]) == (FOUR[name], "answered", None)
    assert call["usage"] == reply["usage"]


@pytest.mark.parametrize(
    ("question", "who", "why"),
    [
        ("Fix this Python function: def f(x): return x +", "anthropic", "Code questions go to Anthropic."),
        ("Write a poem about the sea", "openai_compatible", None),
        ("When do you open?", "gemini", "General questions go to Gemini."),
    ],
)
async def test_the_task_decides_who_answers(
    visitor: Person, question: str, who: str, why: str | None
) -> None:
    """M-3: the default map; the reason is told and stored"""
    reply = await visitor.send(question)
    assert reply["provider"] == who
    assert why is None or reply["why"] == why
    stored = await visitor.message(reply["sessionId"], reply["messageId"])
    assert (stored["provider"], stored["why"]) == (who, reply["why"])


FAULTS = {
    "refused before the first word": "status=503",
    "slow down, in a minute": "status=429;ra=60",
    "slow down, nobody knows for how long": "status=429",
    "money used up": "status=429;code=insufficient_quota",
    "wrong key": "status=401",
    "model gone": "status=404",
    "silence": "ttft=30",
    "cut off before the first word": "rst@0",
    "cut off in the middle": "rst@5",
    "ended in the middle": "eof@5",
    "silent in the middle": "stall@5",
    "an error in the middle": "event=error:overloaded_error@5",
    "gibberish": "html",
    "nothing at all": "empty",
}


@pytest.mark.parametrize("chosen", FOUR)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_when_the_chosen_one_fails_the_reader_gets_one_whole_answer(
    visitor: Person, provider: FakeProvider, chosen: str, fault: str
) -> None:
    """M-4, M-6, B-3: whatever happens, wherever, no word is missing and none is there twice"""
    provider.told[SERVICES[chosen]] = f"n=12;dt=0.005;{fault}"
    async with visitor.stream(QUESTION, model=chosen) as stream:
        reader = await stream.rest()
    assert reader.text == whole()
    done = reader.frames[-2]
    assert (done.event, done.value["finishReason"]) == ("done", "stop")
    start = reader.frames[0].value
    stored = await visitor.message(start["sessionId"], start["messageId"])
    assert (stored["content"], stored["status"]) == (whole(), "completed")
    assert stored["provider"] != FOUR[chosen]
    calls = await ledger(visitor, start["messageId"])
    assert [call["status"] for call in calls][-1] == "answered"
    failed = [call for call in calls if call["status"] == "failed"]
    assert failed
    assert {call["provider"] for call in failed} == {FOUR[chosen]}
    assert all(call["error"] and call["why"] for call in failed)
    metas = [frame.value["provider"] for frame in reader.frames if frame.event == "meta"]
    assert metas == [FOUR[chosen], stored["provider"]]


async def test_when_all_fail_the_reader_gets_one_clear_state_and_the_ledger_tells_each(
    visitor: Person, provider: FakeProvider
) -> None:
    """F-028"""
    for service in SERVICES.values():
        provider.told[service] = "status=401"
    async with visitor.stream(QUESTION) as stream:
        reader = await stream.rest()
    error = reader.frames[-2]
    assert (error.event, error.value["code"]) == ("error", "provider_key")
    assert "sk-" not in str(error.value)
    calls = await ledger(visitor, reader.frames[0].value["messageId"])
    assert {call["provider"] for call in calls} == set(FOUR.values())
    assert {call["status"] for call in calls} == {"failed"}
    assert not any("cause" in call for call in calls)

    provider.told.clear()
    again = await visitor.ok("POST", f"/api/chat/messages/{reader.frames[0].value['messageId']}/regenerate")
    assert again["message"]["content"] == whole()


async def test_a_model_that_keeps_failing_is_left_alone_and_says_so(
    visitor: Person, provider: FakeProvider
) -> None:
    """M-5, P-16: the breaker opens, the list tells it, the next question goes elsewhere at once"""
    provider.told["gemini"] = "status=503"
    for _ in range(4):
        await visitor.send(QUESTION, model="gemini")
    models = {each["id"]: each for each in (await visitor.ok("GET", "/api/models"))["items"]}
    resting = models["gemini/fake-g"]
    assert (resting["available"], resting["note"]) == (False, "Not answering at the moment.")
    before = len(provider.calls("What is new?", "gemini"))
    reply = await visitor.send(QUESTION, model="gemini")
    assert reply["message"]["content"] == whole()
    assert reply["why"].startswith("Gemini is not answering at the moment, so")
    assert len(provider.calls("What is new?", "gemini")) == before
    skipped, *_ = await ledger(visitor, reply["messageId"])
    assert (skipped["provider"], skipped["status"]) == ("gemini", "skipped")


async def test_models_are_listed_with_the_automatic_choice_first(visitor: Person) -> None:
    items = (await visitor.ok("GET", "/api/models"))["items"]
    assert [item["id"] for item in items] == [
        "auto",
        "openai_compatible/fake-o",
        "anthropic/fake-a",
        "gemini/fake-g",
        "ollama/fake-l",
        "builtin",
    ]
    assert all(item["available"] for item in items)
    free = next(item for item in items if item["id"] == "ollama/fake-l")
    assert (free["inputUsdPerMillion"], free["outputUsdPerMillion"]) == (0, 0)
    # Its name says nothing; Ollama does.
    assert (free["contextTokens"], free["images"], free["tools"]) == (CONTEXT_LENGTH, True, True)
    unknown = next(item for item in items if item["id"] == "openai_compatible/fake-o")
    assert unknown["inputUsdPerMillion"] is None
