"""No stream outlives its API key by more than 5 s (P-34)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from parlour.features.people.api_keys import REMEMBERED_SECONDS, NewKey
from parlour.infra.web import sse
from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.principal import Role, Scope
from tests.fakes.provider import FakeProvider
from tests.harness.serving import PATIENCE, Person, Served, Stream, serving, settings

pytestmark = pytest.mark.anyio

ENDLESS = "Talk on [[n=100000;dt=0.01]]"
MODEL = "openai_compatible/fake"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as running:
        yield running


@pytest.fixture
async def served(
    tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    monkeypatch.setattr(sse, "LOOK_SECONDS", 0.05)
    async with serving(settings(tmp_path, provider=provider)) as running:
        yield running


async def with_key(served: Served) -> tuple[Person, str]:
    made = await served.parlour.people.key_for_script(
        "a@example.org", Role.USER, NewKey("test", frozenset({Scope.CHAT}))
    )
    return Person(served, made.key.person_id, made.text), made.key.id


def asking(person: Person, model: str) -> Stream:
    """Ask through one of the doors; an empty model is our own API."""
    if not model:
        return person.stream(ENDLESS)
    said = [{"role": "user", "content": ENDLESS}]
    body: dict[str, Any] = {"model": model, "messages": said, "stream": True}
    return Stream(person, "POST", "/v1/chat/completions", body)


def test_looking_now_and_then_is_soon_enough() -> None:
    assert sse.LOOK_SECONDS + REMEMBERED_SECONDS < 5


@pytest.mark.parametrize("model", ["", "default", MODEL])
async def test_a_stream_ends_with_its_key(served: Served, model: str) -> None:
    person, key = await with_key(served)
    async with asking(person, model) as stream:
        await stream.more()
        await served.parlour.people.api_keys.revoke_any(key)
        reader = await stream.rest()
    last = reader.frames[-1].value
    assert last.get("error", last)["code"] in ("unauthenticated", "invalid_api_key")
    assert not reader.done


async def test_the_call_to_a_model_that_was_asked_directly_is_closed(
    served: Served, provider: FakeProvider
) -> None:
    person, key = await with_key(served)
    async with asking(person, MODEL) as stream:
        await stream.more()
        await served.parlour.people.api_keys.revoke_any(key)
        await stream.rest()
    async with asyncio.timeout(PATIENCE):
        await provider.requests[-1].ended.wait()
    assert provider.requests[-1].outcome == "reader gone"


async def test_a_stream_that_is_resumed_ends_with_the_key_too(served: Served) -> None:
    person, key = await with_key(served)
    async with person.stream(ENDLESS) as stream:
        run = (await stream.begun())["runId"]
    async with person.follow(run) as stream:
        await stream.more()
        await served.parlour.people.api_keys.revoke_any(key)
        assert (await stream.rest()).frames[-1].event == "error"


async def test_streams_go_on_while_nobody_can_tell(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    person, _ = await with_key(served)
    asked = 0

    async def away(_token: str) -> None:
        nonlocal asked
        asked += 1
        raise Unavailable

    async with person.stream(ENDLESS) as stream:
        await stream.begun()
        monkeypatch.setattr(served.parlour.people, "identify", away)
        while asked < 3:
            await stream.more()
        assert [frame.event for frame in await stream.more()] != ["error"]


async def test_a_visitor_s_stream_asks_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await served.visitor()
    async with visitor.stream("Hello [[n=30;dt=0.01]]") as stream:
        await stream.begun()

        async def nobody(_token: str) -> None:
            raise AssertionError("asked who somebody is in the middle of a stream")

        monkeypatch.setattr(served.parlour.people, "identify", nobody)
        assert (await stream.rest()).done
