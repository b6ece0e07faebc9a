"""A server with four providers behind it, all of them one fake that speaks each one's language."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from parlour.settings import Settings
from parlour.settings.choosing import ModelSettings
from parlour.settings.declaring import Section
from parlour.settings.providers import AnthropicSettings, GeminiSettings, OllamaSettings, OpenAISettings
from tests.fakes.provider import FakeProvider
from tests.harness.serving import Person, Served, serving, settings

QUICK = ModelSettings(connect_timeout=1.0, first_token_timeout=0.4, stall_timeout=0.4, total_timeout=20.0)
# As the fake and the ledger call them.
FOUR = {"openai": "openai_compatible", "anthropic": "anthropic", "gemini": "gemini", "ollama": "ollama"}


def four(folder: Path, provider: FakeProvider, **sections: Section) -> Settings:
    """Return the settings of a server that has all four."""
    key = SecretStr("sk-test-0123456789")
    given: dict[str, Section] = {
        "openai": OpenAISettings(api_key=key, base_url=provider.base_url, model="fake-o"),
        "anthropic": AnthropicSettings(api_key=key, base_url=provider.root, model="fake-a"),
        "gemini": GeminiSettings(api_key=key, base_url=provider.root, model="fake-g"),
        "ollama": OllamaSettings(base_url=provider.root, model="fake-l"),
        "models": QUICK,
    }
    return settings(folder, **given | sections)  # type: ignore[arg-type]  # sections, not the other arguments


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    """All four providers."""
    async with FakeProvider() as running:
        yield running


@pytest.fixture
async def served(provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Served]:
    """A server that has them all."""
    async with serving(four(tmp_path, provider)) as running:
        await running.owner_invited()
        yield running


@pytest.fixture
async def visitor(served: Served) -> Person:
    """Somebody nobody knows yet."""
    return await served.visitor()
