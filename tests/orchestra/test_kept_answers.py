"""The response cache: exact, opt-in, and never across people where something personal is said."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parlour.settings.choosing import CacheSettings
from tests.fakes.provider import FakeProvider
from tests.harness.serving import Served, serving
from tests.orchestra.conftest import four

pytestmark = pytest.mark.anyio


@pytest.fixture
async def served(provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Served]:
    """A server that keeps answers."""
    async with serving(four(tmp_path, provider, cache=CacheSettings(enabled=True))) as running:
        await running.owner_invited()
        yield running


def times_asked(provider: FakeProvider, question: str) -> int:
    """Return how often the model got this very question; titles are asked for with more around it."""
    return sum(each.question == question for each in provider.calls(question))


async def test_the_same_first_question_is_answered_once_for_everybody(
    served: Served, provider: FakeProvider
) -> None:
    """M-9"""
    one, another = await served.visitor(), await served.visitor()
    first = await one.send("What are your opening hours? [[n=9]]")
    again = await another.send("What are your opening hours? [[n=9]]")
    assert again["message"]["content"] == first["message"]["content"]
    assert times_asked(provider, "What are your opening hours? [[n=9]]") == 1
    assert again["costUsd"] == 0
    (line,) = (await another.ok("GET", f"/api/chat/messages/{again['messageId']}/attempts"))["items"]
    assert (line["status"], line["cached"]) == ("answered", True)
    metrics = (await served.request("GET", "/metrics")).body.decode()
    assert 'provider="gemini",status="cached"} 1.0' in metrics


async def test_what_is_personal_stays_with_its_person(served: Served, provider: FakeProvider) -> None:
    """M-9: a question with an address in it, and a question in a conversation"""
    one, another = await served.visitor(), await served.visitor()
    personal = "Is jane@example.org on the list? [[n=9]]"
    await one.send(personal)
    await another.send(personal)
    assert times_asked(provider, personal) == 2
    await another.send(personal)
    assert times_asked(provider, personal) == 2

    for person in (one, another):
        begun = await person.send("What are your prices? [[n=5]]")
        await person.send("And for children? [[n=5]]", sessionId=begun["sessionId"])
    assert times_asked(provider, "And for children? [[n=5]]") == 2


async def test_an_answer_that_broke_off_is_not_kept(served: Served, provider: FakeProvider) -> None:
    for service in ("openai", "anthropic", "ollama"):
        provider.told[service] = "status=401"
    provider.told["gemini"] = "eof@3"
    one = await served.visitor()
    async with one.stream("How far is it? [[n=9]]") as stream:
        reader = await stream.rest()
    assert reader.frames[-2].event == "error"
    provider.told.clear()
    reply = await (await served.visitor()).send("How far is it? [[n=9]]")
    assert reply["message"]["content"].endswith("-8")


async def test_who_asks_again_gets_another_answer(served: Served, provider: FakeProvider) -> None:
    """C-6"""
    one = await served.visitor()
    question = "What is there to see? [[n=9]]"
    reply = await one.send(question)
    await one.ok("POST", f"/api/chat/messages/{reply['messageId']}/regenerate")
    assert times_asked(provider, question) == 2
