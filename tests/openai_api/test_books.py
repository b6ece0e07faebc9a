"""Neither an answer nor its line in the books is lost to a database that is away for a moment (P-21)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from parlour.infra.storage import database
from parlour.settings.choosing import ModelSettings
from parlour.vocabulary.errors import Unavailable
from tests.fakes.provider import FakeProvider
from tests.harness import tables
from tests.harness.serving import Person, Served, serving
from tests.openai_api.conftest import MODEL, named_model
from tests.openai_api.test_models_asked import said

pytestmark = pytest.mark.anyio

EMBEDDER = "openai_compatible/text-embedding-test"


@pytest.fixture(scope="module")
async def served(
    anyio_backend: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server that has an embedding model."""
    models = ModelSettings(embedding_models="openai/text-embedding-test")
    async with serving(named_model(tmp_path_factory.mktemp("parlour"), provider, models=models)) as running:
        yield running


class Away:
    """Stands before the ledger: a database that is out of reach for the first ``times``."""

    def __init__(self, served: Served, times: int) -> None:
        self.times = times
        self.tried = 0
        self._write = served.parlour.limits.end_completion

    async def __call__(self, *given: Any) -> None:  # noqa: ANN401 - handed on as it is
        self.tried += 1
        if self.tried <= self.times:
            raise Unavailable
        await self._write(*given)


async def ask(client: openai.AsyncOpenAI, model: str) -> Any:  # noqa: ANN401 - either kind of answer
    if model == EMBEDDER:
        made = await client.embeddings.create(model=model, input="one")
        return made.data[0].embedding
    answer = await client.chat.completions.create(model=model, messages=said("Is this counted?"))
    return answer.choices[0].message.content


@pytest.mark.parametrize("model", [MODEL, EMBEDDER])
async def test_a_short_outage_costs_no_line(
    served: Served, client: openai.AsyncOpenAI, user: Person, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(served.parlour.limits, "end_completion", Away(served, times=3))
    assert await ask(client, model)
    await served.parlour.books.finish_all()
    (line,) = await tables.rows(served, "attempts", person_id=user.id)
    assert line["status"] == "answered"


@pytest.mark.parametrize("model", [MODEL, EMBEDDER])
async def test_a_long_outage_holds_no_answer_back(
    served: Served, client: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    away = Away(served, times=1_000_000)
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(served.parlour.limits, "end_completion", away)
    async with asyncio.timeout(database.PATIENCE_SECONDS / 2):
        assert await ask(client, model)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.0)
    away.times = 0
    await served.parlour.books.finish_all()
