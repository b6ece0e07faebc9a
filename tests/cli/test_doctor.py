"""What the doctor says of everything that the server needs from elsewhere (O-7)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run, free_port
from tests.fakes.provider import FakeProvider

pytestmark = pytest.mark.anyio

KEY = "sk-hunter2"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    """All providers of models."""
    async with FakeProvider() as running:
        yield running


def everybody(provider: FakeProvider) -> dict[str, str]:
    """Settings of a server that has all providers."""
    return {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_MODEL": "fake",
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": provider.root,
        "ANTHROPIC_MODEL": "claude-fake",
        "GEMINI_API_KEY": KEY,
        "GEMINI_BASE_URL": provider.root,
        "GEMINI_MODEL": "gemini-fake",
        "PARLOUR_COMPATIBLE_BASE_URL": provider.base_url,
        "OLLAMA_BASE_URL": provider.root,
        "OLLAMA_MODEL": "fake",
    }


async def doctor(parlour: Run, **variables: str) -> dict[str, tuple[str, str]]:
    """The findings: the mark and the words of each, by its name."""
    result = await asyncio.to_thread(parlour, "doctor", **variables)
    assert KEY not in result.out + result.err
    assert "question is kept" not in result.out
    lines = [(line[:5].strip(), line[6:20].strip(), line[21:]) for line in result.out.splitlines()[:-1]]
    assert len({name for _, name, _ in lines}) == len(lines), result.out
    return {name: (mark, words) for mark, name, words in lines}


async def test_every_provider_that_is_set_up_has_a_line(parlour: Run, provider: FakeProvider) -> None:
    found = await doctor(parlour, **everybody(provider))
    for name in ("openai", "anthropic", "gemini", "compatible", "ollama"):
        assert found[name][0] == "ok", found[name]
    assert "provider" not in found
    assert all(request.method == "GET" for request in provider.requests)


async def test_nobody_is_asked_who_is_not_set_up(parlour: Run, provider: FakeProvider) -> None:
    found = await doctor(parlour, ANTHROPIC_BASE_URL="https://api.anthropic.com")
    assert found["provider"][0] == "ok"
    assert not {"openai", "anthropic", "gemini", "compatible", "ollama"} & set(found)


@pytest.mark.parametrize(
    ("script", "mark", "words"),
    [
        ("status=401", "warn", "refuses the key. Check ANTHROPIC_API_KEY"),
        ("status=429", "warn", "takes no requests now"),
        ("status=500", "warn", "takes no requests now"),
        ("status=404", "warn", "gives no list of its models. Check ANTHROPIC_BASE_URL"),
        ("html", "warn", "gives no list of its models. Check ANTHROPIC_BASE_URL"),
    ],
)
async def test_what_is_wrong_with_a_provider_is_said_with_the_remedy(
    parlour: Run, provider: FakeProvider, script: str, mark: str, words: str
) -> None:
    provider.told["anthropic"] = script
    found = await doctor(parlour, **everybody(provider))
    assert found["anthropic"][0] == mark
    assert words in found["anthropic"][1], found["anthropic"]
    assert found["gemini"][0] == "ok"


async def test_a_server_that_is_not_there_and_a_model_that_nobody_has(
    parlour: Run, provider: FakeProvider
) -> None:
    wanted = everybody(provider) | {
        "OLLAMA_BASE_URL": f"http://127.0.0.1:{free_port()}",
        "GEMINI_MODEL": "gemini-nobody-has",
    }
    found = await doctor(parlour, **wanted)
    assert found["ollama"][0] == "warn"
    assert "cannot be reached. Check OLLAMA_BASE_URL" in found["ollama"][1]
    assert found["gemini"][0] == "warn"
    assert "does not offer gemini-nobody-has. Set GEMINI_MODEL" in found["gemini"][1]


async def test_a_budget_too_small_for_one_answer(parlour: Run) -> None:
    """B-4"""
    nowhere = f"http://127.0.0.1:{free_port()}"
    wanted = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": nowhere, "PARLOUR_BUDGET_DAY": "1000"}
    known = wanted | {"ANTHROPIC_MODEL": "claude-sonnet-4-5"}
    assert "budgets" not in await doctor(parlour, **known)
    mark, words = (await doctor(parlour, **known, PARLOUR_BUDGET_VISITOR_DAY="0.0001"))["budgets"]
    assert mark == "warn"
    assert "PARLOUR_BUDGET_VISITOR_DAY is 0.0001" in words
    assert "PARLOUR_REPLY_TOKENS" in words
    mark, words = (await doctor(parlour, **wanted, ANTHROPIC_MODEL="claude-nobody-knows"))["budgets"]
    assert "The price of anthropic/claude-nobody-knows is unknown" in words


async def test_rules_and_services_that_cannot_be_had(parlour: Run, tmp_path: Path) -> None:
    rules = tmp_path / "rules.txt"
    rules.write_text("/(unclosed/\n")
    nowhere = f"127.0.0.1:{free_port()}"
    found = await doctor(
        parlour,
        PARLOUR_MODERATION_RULES=str(rules),
        PARLOUR_MODERATION_INPUT="block",
        PARLOUR_MODERATION_PROVIDER="input",
        PARLOUR_MODERATION_URL=f"http://{nowhere}/v1",
        PARLOUR_REDIS_URL=f"redis://{nowhere}/0",
    )
    assert found["rules"][0] == "fail"
    assert "Line 1" in found["rules"][1]
    assert found["moderation"][0] == "warn"
    assert "PARLOUR_MODERATION_URL" in found["moderation"][1]
    assert found["redis"][0] == "warn"
    assert "PARLOUR_REDIS_URL" in found["redis"][1]
