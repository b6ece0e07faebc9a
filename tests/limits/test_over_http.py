"""Limits as clients meet them, over HTTP, before a model that must not be called (M-7, M-8, B-3, B-4)."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from parlour.features.limits.counting.memory import Memory
from parlour.settings.limits import LimitSettings
from parlour.vocabulary.principal import Role
from tests.fakes.provider import FakeProvider
from tests.harness.serving import Answer, Person, Served, serving, settings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as running:
        yield running


async def somebody(served: Served, role: Role = Role.USER) -> Person:
    """A person who signed in."""
    entrance = await served.parlour.people.token_for_script(role, f"{role.value}@example.org")
    return Person(served, entrance.principal.person_id, entrance.token.text)


async def say(person: Person, text: str = "Hello?", **fields: Any) -> Answer:  # noqa: ANN401
    return await person.request("POST", "/api/chat", body={"message": text, **fields})


def let_pass(served: Served, seconds: float) -> None:
    """Let time pass for the counters of a server."""
    memory = served.parlour.limits._rates._counting
    assert isinstance(memory, Memory)
    clock = memory._clock
    memory._clock = lambda: clock() + seconds


async def test_the_61st_message_of_a_minute_is_refused_and_passes_when_it_was_said_to(
    tmp_path: Path, provider: FakeProvider
) -> None:
    wanted = settings(tmp_path, provider=provider, limits=LimitSettings())
    async with serving(wanted) as served:
        person = await somebody(served)
        session = await person.session()
        for number in range(60):
            answer = await say(person, f"Number {number}?", sessionId=session)
            assert answer.status == 200, answer.body
        assert re.fullmatch(
            r'"requests";q=60;w=60, "tokens";q=100000;w=60;qu="tokens"', answer.headers["RateLimit-Policy"]
        )
        assert answer.headers["RateLimit"].startswith('"requests";r=0;t=')
        refused = await say(person, "One more?", sessionId=session)
        assert (refused.status, refused.json["code"]) == (429, "too_many")
        assert refused.json["retryable"] is True
        assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')
        seconds = int(refused.headers["Retry-After"])
        assert 1 <= seconds <= 61
        assert len([call for call in provider.requests if "One more?" in str(call.messages)]) == 0
        assert len(await person.messages(session)) == 100
        let_pass(served, seconds)
        assert (await say(person, "One more?", sessionId=session)).status == 200


async def test_reading_is_never_limited(tmp_path: Path, provider: FakeProvider) -> None:
    limits = LimitSettings(requests_per_minute=2)
    async with serving(settings(tmp_path, provider=provider, limits=limits)) as served:
        person = await somebody(served)
        for _ in range(2):
            assert (await say(person)).status == 200
        assert (await say(person)).status == 429
        for _ in range(20):
            assert (await person.request("GET", "/api/chat/sessions")).status == 200


async def test_every_way_to_make_the_model_work_counts(tmp_path: Path, provider: FakeProvider) -> None:
    limits = LimitSettings(requests_per_minute=4)
    async with serving(settings(tmp_path, provider=provider, limits=limits)) as served:
        person = await somebody(served)
        first = (await say(person)).json
        ways = [
            (f"/api/chat/sessions/{first['sessionId']}/messages", {"message": "Hello?"}),
            (f"/api/chat/messages/{first['messageId']}/regenerate", None),
            ("/api/chat/stream", {"message": "Hello?"}),
        ]
        for path, body in ways:
            assert (await person.request("POST", path, body=body)).status == 200
        for path, body in ways:
            assert (await person.request("POST", path, body=body)).status == 429


async def test_a_message_that_was_accepted_is_shown_again_whatever_the_limit(
    tmp_path: Path, provider: FakeProvider
) -> None:
    """C-7"""
    limits = LimitSettings(requests_per_minute=1)
    async with serving(settings(tmp_path, provider=provider, limits=limits)) as served:
        person = await somebody(served)
        first = await say(person, clientMessageId="m-1")
        again = await say(person, clientMessageId="m-1")
        assert (again.status, again.json["messageId"]) == (200, first.json["messageId"])
        assert (await say(person, clientMessageId="m-2")).status == 429


async def test_new_tokens_are_not_free(tmp_path: Path, provider: FakeProvider) -> None:
    limits = LimitSettings(requests_per_minute=5)
    async with serving(settings(tmp_path, provider=provider, limits=limits), wait=False) as served:
        forged = [{"X-Forwarded-For": f"6.6.6.{n}", "X-Real-IP": f"6.6.6.{n}"} for n in range(30)]
        statuses = [
            (await served.request("POST", "/api/visitors", headers=headers)).status for headers in forged
        ]
        assert Counter(statuses) == {201: 5, 429: 25}


async def test_visitors_behind_one_address_share_a_limit(tmp_path: Path, provider: FakeProvider) -> None:
    """A-190"""
    limits = LimitSettings(requests_per_minute=8)
    async with serving(settings(tmp_path, provider=provider, limits=limits)) as served:
        let_pass(served, 200)
        visitors = [await served.visitor() for _ in range(4)]
        statuses = [(await say(visitor)).status for visitor in visitors * 4]
        assert Counter(statuses) == {200: 8, 429: 8}
        assert (await say(await somebody(served))).status == 200


async def test_streams_have_a_cap_and_leaving_makes_room(tmp_path: Path, provider: FakeProvider) -> None:
    """A-084"""
    limits = LimitSettings(streams_per_person=3, requests_per_minute=1000)
    async with serving(settings(tmp_path, provider=provider, limits=limits)) as served:
        person, other = await somebody(served), await served.visitor()
        streams = [person.stream(f"[[n=5000;dt=0.05]] {number}") for number in range(3)]
        for stream in streams:
            await stream.__aenter__()
            await stream.begun("start")
        refused = await person.request("POST", "/api/chat", body={"message": "And me?", "stream": True})
        assert (refused.status, refused.json["code"]) == (429, "too_many")
        assert "Retry-After" in refused.headers
        run = (await streams[0].until("start")).value["runId"]
        follow = await person.request("GET", f"/api/chat/runs/{run}/events")
        assert follow.status == 429
        async with other.stream("Me?") as stream:
            assert (await stream.rest()).text
        await streams[0].__aexit__()
        async with asyncio.timeout(20):
            while True:
                async with person.stream("And now?") as stream:
                    if stream.response.status == 200:
                        assert (await stream.rest()).text
                        break
        for stream in streams[1:]:
            await stream.__aexit__()


async def test_a_full_session_asks_for_a_new_one(tmp_path: Path, provider: FakeProvider) -> None:
    limits = LimitSettings(session_tokens=1)
    async with serving(settings(tmp_path, provider=provider, limits=limits)) as served:
        person = await somebody(served)
        session = (await say(person)).json["sessionId"]
        refused = await say(person, sessionId=session)
        assert (refused.status, refused.json["code"], refused.json["retryable"]) == (
            429,
            "session_full",
            False,
        )
        assert (await say(person)).status == 200
