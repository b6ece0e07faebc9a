"""The fake itself: a checker that lies is worse than none."""

import asyncio
import sys

import aiohttp
import pytest

from tests.fakes.chat_wire import remaining
from tests.fakes.provider import SERVICES, FakeProvider
from tests.fakes.script import Call, Script, calling, encoded, script_of, unlucky

pytestmark = pytest.mark.anyio

CHAT = "/chat/completions"
HELLO = [{"role": "user", "content": "Hello?"}]
# Where each of the services is asked, and the smallest body.
ADDRESSES = (
    ("/v1/messages", {"model": "fake", "max_tokens": 9, "messages": HELLO}),
    (
        "/v1beta/models/fake:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]},
    ),
    ("/api/chat", {"model": "fake", "messages": HELLO}),
    ("/v1/chat/completions", {"model": "fake", "messages": HELLO}),
)


def asking(question: str, model: str = "fake") -> dict[str, object]:
    """Return the smallest body."""
    return {"model": model, "messages": [{"role": "user", "content": question}]}


async def content(session: aiohttp.ClientSession, provider: FakeProvider, body: dict[str, object]) -> str:
    """Return the answer to a call that is not streamed."""
    async with session.post(provider.base_url + CHAT, json=body) as response:
        document = await response.json()
    return str(document["choices"][0]["message"]["content"])


def test_scripts_come_from_the_model_and_the_question_wins() -> None:
    script = script_of("fake:n=5;dt=20ms;fault=rst@37", "Hello [[n=6]] and [[stall@2:0.5]]")

    assert script == Script(n=6, dt=0.02, fault="stall", at=2, pause=0.5)
    assert script_of("gpt-4o", "Hello") == Script()


@pytest.mark.parametrize("words", ["nn=5", "hello", "n=x", "dt=soon", "text=%"])
def test_a_slip_in_a_script_is_an_error(words: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of the many does not matter
        script_of("fake", f"[[{words}]]")


def test_an_answer_goes_on_at_any_character() -> None:
    pieces = ["one ", "two ", "three"]
    for cut in range(len("one two three") + 1):
        start, rest = remaining(pieces, "one two three"[:cut])
        assert "".join(rest[start:]) == "one two three"[cut:]
    assert remaining(pieces, "else") == (0, pieces)


async def test_equal_questions_get_equal_answers(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    first, second, other = [await content(session, provider, asking(each)) for each in ("A?", "A?", "B?")]

    assert first == second != other
    assert len(first.split()) == 20


async def test_a_script_can_hold_for_the_first_calls_only(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    statuses = []
    for _ in range(3):
        async with session.post(provider.base_url + CHAT, json=asking("[[status=503;times=2]]")) as response:
            statuses.append(response.status)

    assert statuses == [503, 503, 200]


async def test_it_tells_what_it_was_asked(provider: FakeProvider, session: aiohttp.ClientSession) -> None:
    await content(session, provider, asking(f"[[text={encoded('x')}]]", "gpt-test"))
    root = provider.base_url.removesuffix("/v1")
    async with session.get(f"{root}/_requests") as response:
        [seen] = await response.json()
    async with session.delete(f"{root}/_requests") as response:
        assert response.status == 200

    assert seen["body"] == asking(f"[[text={encoded('x')}]]", "gpt-test")
    assert seen["outcome"] == "finished"
    assert provider.requests == []


async def test_a_prompt_can_be_looked_at_in_the_answer(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    assert '"role": "user"' in await content(session, provider, asking("[[echo]]"))


def test_a_directive_can_be_meant_for_one_provider() -> None:
    question = "Hello [[n=6;dt=0.1]] [[ollama: status=503]] [[openai: rst@2;n=7]]"

    assert script_of("fake", question, "ollama") == Script(n=6, dt=0.1, status=503)
    assert script_of("fake", question, "openai") == Script(n=7, dt=0.1, fault="rst", at=2)
    assert script_of("fake", question, "gemini") == Script(n=6, dt=0.1)
    assert script_of("fake", question, "ollama", told="status=200;n=8").n == 8


def test_calls_can_be_written_and_read() -> None:
    calls = (Call("f", '{"a": "]];ü"}', "call_1"), Call("g"))

    assert script_of("fake", f"[[{calling(*calls)}]]").calls == calls


def test_a_flaky_provider_fails_as_often_as_it_was_told_and_in_many_ways() -> None:
    script = Script(flaky=0.3, seed=7, n=50)
    fates = [unlucky(script, f"Question {number}", 1) for number in range(2_000)]
    failures = [fate for fate in fates if fate != script.healthy]

    assert 0.25 < len(failures) / len(fates) < 0.35
    assert {fate.fault for fate in failures} == {"", "eof", "rst", "stall"}
    assert {fate.status for fate in failures} >= {200, 408, 429, 500, 502, 503, 504, 529}
    assert any(fate.cut for fate in failures)
    assert any(fate.html for fate in failures)
    assert any(fate.empty for fate in failures)
    assert {0 < fate.at < 50 for fate in failures if fate.fault} == {True, False}
    assert fates == [unlucky(script, f"Question {number}", 1) for number in range(2_000)]
    again = [unlucky(script, f"Question {number}", 2) for number in range(2_000)]
    assert again != fates
    assert fates != [unlucky(Script(flaky=0.3, seed=8, n=50), f"Question {n}", 1) for n in range(2_000)]


async def test_a_flaky_provider_is_the_same_in_every_run(session: aiohttp.ClientSession) -> None:
    """Whatever the order in which the questions come."""
    fates: list[dict[int, str]] = []
    for order in (1, -1):
        async with FakeProvider() as provider:
            provider.told = {"openai": "flaky=0.5;seed=3;n=4"}
            fates.append({})
            for number in range(20)[::order]:
                fates[-1][number] = await fate(session, provider, f"Question {number}")

    assert fates[0] == fates[1]
    assert 3 < list(fates[0].values()).count("200") < 17


async def fate(session: aiohttp.ClientSession, provider: FakeProvider, question: str) -> str:
    """Return what became of a question."""
    try:
        async with session.post(provider.base_url + CHAT, json=asking(question)) as response:
            await response.json()
            return str(response.status)
    except aiohttp.ClientError as error:
        return type(error).__name__


async def test_one_of_several_providers_can_be_told_to_fail_from_outside(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    paths = {service.name: address for service, address in zip(SERVICES, ADDRESSES, strict=True)}
    async with session.put(provider.root + "/_told", json={"ollama": "status=503"}) as response:
        assert response.status == 200
    statuses = {}
    headers = {"anthropic-version": "2023-06-01"}
    for name, (path, body) in paths.items():
        async with session.post(provider.root + path, json=body, headers=headers) as response:
            statuses[name] = response.status
    assert statuses == {"anthropic": 200, "gemini": 200, "ollama": 503, "openai": 200}
    assert [each.service for each in provider.calls("Hello?")] == list(paths)
    assert [each.service for each in provider.calls("Hello?", "gemini")] == ["gemini"]

    provider.told = {"fake": "cut"}
    for path, body in paths.values():
        with pytest.raises(aiohttp.ClientError):
            await session.post(provider.root + path, json=body, headers=headers)


async def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "tests.fakes.provider", "--port", "0"]
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert program.stdout is not None
    base_url = (await program.stdout.readline()).decode().strip()
    async with aiohttp.ClientSession() as session, session.get(f"{base_url}/models") as response:
        assert response.status == 200
    program.terminate()
    await program.wait()
