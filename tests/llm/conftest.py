"""A fake provider over real HTTP, and the production client that talks to it."""

from collections.abc import AsyncIterator
from typing import Protocol

import aiohttp
import pytest

from parlour.infra.web.outbound import open_session
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.timeouts import Timeouts
from tests.fakes.provider import FakeProvider

KEY = "sk-a-key-that-nobody-may-see"


class MakeModel(Protocol):
    """Make an adapter for the fake provider."""

    def __call__(
        self, name: str = ..., *, timeouts: Timeouts = ..., base_url: str = ..., api_key: str = ...
    ) -> OpenAICompatible:
        """Return an adapter for the model ``name``."""
        ...


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    """Run a fake provider."""
    async with FakeProvider() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session as the product does."""
    async with open_session(user_agent="parlour-tests") as opened:
        yield opened


@pytest.fixture
def make_model(provider: FakeProvider, session: aiohttp.ClientSession) -> MakeModel:
    """Return a maker of adapters."""

    def make(
        name: str = "fake", *, timeouts: Timeouts | None = None, base_url: str = "", api_key: str = KEY
    ) -> OpenAICompatible:
        return OpenAICompatible(
            session=session,
            base_url=base_url or provider.base_url,
            api_key=api_key,
            model=name,
            timeouts=timeouts,
        )

    return make


@pytest.fixture
def model(make_model: MakeModel) -> OpenAICompatible:
    """Return an adapter with the product's own limits."""
    return make_model()
