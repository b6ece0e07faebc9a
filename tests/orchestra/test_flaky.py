"""Hundreds of turns with a provider that fails three times in ten, in every way it can."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.fakes.answers import answer_pieces
from tests.fakes.provider import FakeProvider
from tests.fakes.script import script_of
from tests.harness.serving import Person, serving
from tests.harness.sse import EventReader
from tests.orchestra.conftest import four

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TURNS = 500
AT_ONCE = 20
SEED = 20261121


async def test_five_hundred_turns_end_once_each_and_hardly_one_is_lost(
    provider: FakeProvider, tmp_path: Path
) -> None:
    """P-03, M-4, M-6: every turn has one end; with a healthy fallback 99 in 100 are answered"""
    provider.told["gemini"] = f"flaky=0.3;seed={SEED}"
    async with serving(four(tmp_path, provider)) as served:
        await served.owner_invited()
        people = [await served.visitor() for _ in range(AT_ONCE)]
        questions = iter(range(TURNS))
        outcomes: Counter[str] = Counter()

        async def ask(person: Person) -> None:
            for number in questions:
                question = f"Say number {number} [[n=6]]"
                async with person.stream(question) as stream:
                    reader = await stream.rest()
                ends = [frame.event for frame in reader.frames if frame.event in ("done", "error")]
                assert len(ends) == 1
                assert reader.frames[-1].data == "[DONE]"
                outcomes[await outcome_of(person, question, reader)] += 1

        await asyncio.gather(*(ask(person) for person in people))
        assert outcomes.total() == TURNS
        assert outcomes["answered"] >= 0.99 * TURNS, outcomes
        metrics = (await served.request("GET", "/metrics")).body.decode()
        assert 'parlour_model_calls_total{model="fake-g",provider="gemini",status="failed"}' in metrics


async def outcome_of(person: Person, question: str, reader: EventReader) -> str:
    """Return how a turn came out, having seen that what was shown is what is stored, without a word twice."""
    start = reader.frames[0].value
    stored = await person.message(start["sessionId"], start["messageId"])
    assert stored["content"] == reader.text
    whole = "".join(answer_pieces(question, script_of("fake", question), []))
    if stored["status"] == "completed":
        assert reader.text == whole
        return "answered"
    assert stored["status"] == "failed"
    assert whole.startswith(reader.text)
    code: str = stored["error"]["code"]
    return code
