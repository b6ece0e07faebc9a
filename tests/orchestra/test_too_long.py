"""A model that finds a prompt too long gets a shorter one, once."""

import pytest

from tests.fakes.provider import FakeProvider
from tests.harness.serving import Person

pytestmark = pytest.mark.anyio

TOO_LONG = "status=400;code=context_length_exceeded"


async def test_a_prompt_that_is_too_long_is_shortened_once(visitor: Person, provider: FakeProvider) -> None:
    """F-006"""
    begun = await visitor.send("My name is Ada. [[n=4]]")
    for _ in range(3):
        await visitor.send("Go on. [[n=4]]", sessionId=begun["sessionId"])
    for service in ("openai", "anthropic", "gemini", "ollama"):
        provider.told[service] = f"{TOO_LONG};times=1"
    question = "What did we talk about? [[n=5]]"
    reply = await visitor.send(question, sessionId=begun["sessionId"])
    assert reply["message"]["content"].endswith("-4")
    first, *_, last = provider.calls(question)
    assert len(str(last.body)) < len(str(first.body))


async def test_one_that_cannot_be_shortened_is_told_and_not_tried_again(
    visitor: Person, provider: FakeProvider
) -> None:
    for service in ("openai", "anthropic", "gemini", "ollama"):
        provider.told[service] = TOO_LONG
    async with visitor.stream("A long one [[n=5]]") as stream:
        reader = await stream.rest()
    assert (reader.frames[-2].event, reader.frames[-2].value["code"]) == ("error", "context_too_long")
    services = [call.service for call in provider.calls("A long one")]
    assert len(services) == len(set(services))
