"""A moderation server over real HTTP, and the production client that asks it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from parlour.infra.web.outbound import open_session
from parlour.llm.moderation import OpenAIModeration
from tests.moderation.fake import FakeModeration

KEY = "sk-a-key-that-nobody-may-see"


@pytest.fixture
async def provider() -> AsyncIterator[FakeModeration]:
    """Run a moderation server."""
    async with FakeModeration() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session as the product does."""
    async with open_session(user_agent="parlour-tests") as opened:
        yield opened


@pytest.fixture
def moderator(provider: FakeModeration, session: aiohttp.ClientSession) -> OpenAIModeration:
    """Return the production client."""
    return OpenAIModeration(session=session, base_url=provider.base_url, api_key=KEY, timeout=0.3)
