"""The fake itself: a checker that lies is worse than none."""

import asyncio
import sys

import aiohttp
import pytest

from tests.fakes.chat_wire import remaining
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Script, encoded, script_of

pytestmark = pytest.mark.anyio

CHAT = "/chat/completions"


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


async def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "tests.fakes.provider", "--port", "0"]
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert program.stdout is not None
    base_url = (await program.stdout.readline()).decode().strip()
    async with aiohttp.ClientSession() as session, session.get(f"{base_url}/models") as response:
        assert response.status == 200
    program.terminate()
    await program.wait()
