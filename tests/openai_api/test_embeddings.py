"""Vectors by OpenAI's Python SDK, unmodified (T-5)."""

import asyncio
import base64
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import structlog

from parlour.settings.choosing import ModelSettings
from parlour.vocabulary.principal import Scope
from tests.fakes.provider import FakeProvider, Request
from tests.harness import tables
from tests.harness.serving import PATIENCE, Person, Served, serving
from tests.harness.waiting import until
from tests.openai_api.conftest import connect, named_model, program

pytestmark = pytest.mark.anyio

MODEL = "openai_compatible/text-embedding-test"


@pytest.fixture(scope="module")
async def served(
    anyio_backend: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server that has an embedding model."""
    models = ModelSettings(embedding_models="openai/text-embedding-test")
    wanted = named_model(tmp_path_factory.mktemp("parlour"), provider, models=models)
    async with serving(wanted) as running:
        yield running


def numbers(response: openai.types.CreateEmbeddingResponse) -> list[list[float]]:
    return [each.embedding for each in response.data]


async def test_texts_become_vectors_in_their_order(client: openai.AsyncOpenAI) -> None:
    made = await client.embeddings.create(model=MODEL, input=["one", "two", "one"])
    first, second, third = numbers(made)
    assert first == third != second
    assert (made.model, [each.index for each in made.data]) == (MODEL, [0, 1, 2])
    assert made.usage.prompt_tokens > 0
    (alone,) = numbers(await client.embeddings.create(model="text-embedding-test", input="one"))
    assert alone == first


async def test_a_model_is_found_by_every_name_that_an_operator_may_write(client: openai.AsyncOpenAI) -> None:
    for name in ("openai/text-embedding-test", "openai", "openai_compatible"):
        assert (await client.embeddings.create(model=name, input="one")).model == MODEL


async def test_where_there_is_no_embedding_model_nobody_is_sent_to_a_list(
    provider: FakeProvider, tmp_path: Path
) -> None:
    async with serving(named_model(tmp_path, provider)) as bare:
        person = await program(bare, Scope.EMBEDDINGS)
        body = {"model": "openai/text-embedding-3-small", "input": "one"}
        error = (await person.ok("POST", "/v1/embeddings", body, status=404))["error"]
    assert "PARLOUR_EMBEDDING_MODEL" in error["message"]
    assert "/v1/models" not in error["message"]


async def test_a_failed_call_is_in_the_log(client: openai.AsyncOpenAI) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(openai.InternalServerError):
        await client.embeddings.create(model=MODEL, input="failing [[status=500]]")
    (line,) = [each for each in lines if each["event"] == "model_call_failed"]
    assert (line["model"], line["code"]) == ("text-embedding-test", "provider_overloaded")


async def test_both_encodings_are_the_same_vector(client: openai.AsyncOpenAI, user: Person) -> None:
    """The SDK itself asks for base64 unless told otherwise."""
    by_number = await client.embeddings.create(model=MODEL, input="one", encoding_format="float")
    body = {"model": MODEL, "input": "one", "encoding_format": "base64"}
    packed = (await user.ok("POST", "/v1/embeddings", body))["data"][0]["embedding"]
    assert list(array("f", base64.b64decode(packed))) == pytest.approx(numbers(by_number)[0])


async def test_a_length_can_be_asked_for(client: openai.AsyncOpenAI, provider: FakeProvider) -> None:
    made = await client.embeddings.create(model=MODEL, input="short", dimensions=16)
    assert len(numbers(made)[0]) == 16
    assert provider.requests[-1].body["dimensions"] == 16


async def test_it_stands_in_the_ledger(client: openai.AsyncOpenAI, served: Served, user: Person) -> None:
    await client.embeddings.create(model=MODEL, input="counted")
    (line,) = await tables.rows(served, "attempts", person_id=user.id)
    assert (line["model"], line["status"]) == ("text-embedding-test", "answered")


async def test_a_failure_stands_in_the_ledger_too(
    client: openai.AsyncOpenAI, served: Served, user: Person
) -> None:
    with pytest.raises(openai.InternalServerError):
        await client.embeddings.create(model=MODEL, input="failing [[status=500]]")
    (line,) = await tables.rows(served, "attempts", person_id=user.id)
    assert line["status"] == "failed"


async def test_a_caller_who_leaves_ends_the_call(
    served: Served, user: Person, provider: FakeProvider
) -> None:
    body = {"model": MODEL, "input": "waiting [[hold=30]]"}
    call = asyncio.create_task(user.request("POST", "/v1/embeddings", body=body))

    def asked() -> list[Request]:
        return [each for each in provider.requests if "waiting" in str(each.body.get("input"))]

    await until(lambda: bool(asked()), PATIENCE, "the model was asked")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    async with asyncio.timeout(1):
        await asked()[0].ended.wait()

    async def written() -> bool:
        lines = await tables.rows(served, "attempts", person_id=user.id)
        return [line["status"] for line in lines] == ["stopped"]

    await until(written, PATIENCE, "the ledger is written")


async def test_the_model_is_listed(client: openai.AsyncOpenAI) -> None:
    assert MODEL in [each.id for each in (await client.models.list()).data]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [1, 2, 3]}, "input[0]"),
        ({"input": [[1, 2], [3]]}, "input[0]"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["a", " "]}, "input[1]"),
        ({"input": ["a"] * 2_049}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
    ],
)
async def test_what_has_no_vector_is_told(
    client: openai.AsyncOpenAI, fields: dict[str, Any], param: str
) -> None:
    wanted: Any = {"model": MODEL, "input": "x"} | fields
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(**wanted)
    assert caught.value.param == param


async def test_another_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.embeddings.create(model="text-embedding-4-huge", input="x")
    assert caught.value.code == "model_not_found"


async def test_visitors_and_keys_without_the_scope_make_none(served: Served) -> None:
    chatting = await program(served, Scope.CHAT)
    for somebody in (await served.visitor(), chatting):
        async with connect(served, somebody.token) as client:
            with pytest.raises(openai.PermissionDeniedError):
                await client.embeddings.create(model=MODEL, input="x")
