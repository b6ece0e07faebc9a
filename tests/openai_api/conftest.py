"""One server with the fake provider behind it, and OpenAI's own SDK as its client."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import SecretStr

from parlour.features.people.api_keys import NewKey
from parlour.settings import Settings
from parlour.settings.providers import OpenAISettings
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role, Scope
from tests.fakes.provider import FakeProvider
from tests.harness.serving import Person, Served, serving, settings

NAME = "qwen-vl"  # of a family that is known to use tools and to see
MODEL = f"openai_compatible/{NAME}"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run a module's tests on one event loop, so that they can share its server."""
    return "asyncio"


@pytest.fixture(scope="module")
async def provider(anyio_backend: str) -> AsyncIterator[FakeProvider]:
    """The model that answers."""
    async with FakeProvider() as running:
        yield running


@pytest.fixture(scope="module")
async def served(
    anyio_backend: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server whose model is the fake one."""
    async with serving(named_model(tmp_path_factory.mktemp("parlour"), provider)) as running:
        yield running


def named_model(folder: Path, provider: FakeProvider, **sections: Any) -> Settings:  # noqa: ANN401
    """Settings for a server whose model has a name that means something."""
    openai_section = OpenAISettings(api_key=SecretStr("sk-test"), base_url=provider.base_url, model=NAME)
    return settings(folder, provider=provider).model_copy(update={"openai": openai_section, **sections})


async def program(served: Served, *scopes: Scope, role: Role = Role.USER) -> Person:
    """Somebody new, speaking by an API key with these scopes."""
    person = Principal(new_id(), role)
    made = await served.parlour.people.api_keys.make(person, NewKey("test", frozenset(scopes)))
    return Person(served, person.person_id, made.text)


@pytest.fixture
async def user(served: Served) -> Person:
    """A user's program that may do everything a user may."""
    return await program(served, Scope.CHAT, Scope.READ, Scope.EMBEDDINGS)


@pytest.fixture
async def client(served: Served, user: Person) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's SDK, unmodified, pointed at the server."""
    async with connect(served, user.token) as client:
        yield client


def connect(served: Served, key: str, *, retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=retries)
