"""Vectors from every provider that makes them, over real HTTP: in order, of length 1, counted."""

import asyncio
import base64
import math
from array import array
from collections.abc import Callable
from typing import Any

import aiohttp
import ollama
import openai
import pytest
from aiohttp import web
from google import genai

from parlour.llm.embeddings import (
    MOST_BYTES,
    Embedder,
    gemini_embedder,
    ollama_embedder,
    openai_embedder,
)
from parlour.llm.timeouts import Timeouts
from parlour.llm.tokens import estimate_tokens
from parlour.vocabulary.errors import (
    BadKey,
    Garbled,
    ModelMissing,
    Overloaded,
    ProviderError,
    RateLimited,
    Rejected,
    TimedOut,
    Unreachable,
)
from tests.fakes.embedding import DIMENSIONS, vector_of
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.llm.conftest import KEY

pytestmark = pytest.mark.anyio

TEXTS = ["the quick brown fox", "Grüße, 世界", "", "the quick brown dog"]
MAKERS: dict[str, tuple[Callable[..., Embedder], str, int]] = {
    "openai": (openai_embedder, "/v1", 2_048),
    "gemini": (gemini_embedder, "", 100),
    "ollama": (ollama_embedder, "", 64),
}
Make = Callable[..., Embedder]


@pytest.fixture(params=MAKERS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return the provider that this test is about."""
    return str(request.param)


@pytest.fixture
def make(kind: str, provider: FakeProvider, session: aiohttp.ClientSession) -> Make:
    """Return a maker of embedders."""
    maker, version, _ = MAKERS[kind]

    def made(**more: Any) -> Embedder:  # noqa: ANN401 - whatever the maker takes
        wishes = {"base_url": provider.root + version, "api_key": KEY, "model": "embed", **more}
        return maker(session=session, **wishes)

    return made


def likeness(one: "array[float]", other: "array[float]") -> float:
    """Return the product of two vectors."""
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_each_text_has_its_vector(make: Make, provider: FakeProvider) -> None:
    found = await make().embed(TEXTS)

    assert [len(each) for each in found.vectors] == [DIMENSIONS] * 4
    for vector, text in zip(found.vectors, TEXTS, strict=True):
        assert likeness(vector, vector_of(text)) == pytest.approx(1, abs=1e-5)
    assert (found.tokens, found.estimated) == (10, False)
    [request] = provider.requests
    assert KEY in request.headers.get("authorization", "") + request.headers.get("x-goog-api-key", "")


async def test_the_wished_number_of_dimensions_is_given_and_of_length_one(make: Make) -> None:
    """Gemini's vectors lose their length when they are made shorter; ours have it again."""
    found = await make().embed(TEXTS[:2], dimensions=16)

    assert [len(each) for each in found.vectors] == [16, 16]
    assert [math.hypot(*each) for each in found.vectors] == pytest.approx([1, 1], abs=1e-5)


async def test_no_texts_need_no_call(make: Make, provider: FakeProvider) -> None:
    found = await make().embed([])

    assert (found.vectors, found.tokens) == ((), 0)
    assert provider.requests == []


async def test_many_texts_go_in_batches_and_come_back_in_order(
    make: Make, provider: FakeProvider, kind: str
) -> None:
    most = MAKERS[kind][2]
    texts = [f"number {number}" for number in range(most * 2 + 1)]
    found = await make().embed(texts)

    assert [likeness(v, vector_of(t)) for v, t in zip(found.vectors, texts, strict=True)] == pytest.approx(
        [1] * len(texts), abs=1e-5
    )
    assert len(provider.requests) == 3
    assert found.tokens == 2 * len(texts)


async def test_no_request_has_more_bytes_than_a_provider_takes(make: Make, provider: FakeProvider) -> None:
    texts = ["é" * (MOST_BYTES // 5) for _ in range(5)]
    found = await make().embed(texts)

    assert len(found.vectors) == 5
    assert len(provider.requests) == 3
    for request in provider.requests:
        assert str(request.body).count("é") * 2 <= MOST_BYTES


async def test_tokens_that_nobody_counted_are_estimated(make: Make) -> None:
    text = "some words [[usage=none]]"
    found = await make().embed([text])

    assert (found.tokens, found.estimated) == (estimate_tokens(text), True)


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("status=500", Overloaded),
        ("status=429;ra=7", RateLimited),
        ("status=401", BadKey),
        ("status=404", ModelMissing),
        ("status=400", Rejected),
        ("cut", Unreachable),
        ("html", Garbled),
    ],
)
async def test_a_failure_is_told_by_its_kind(
    make: Make, provider: FakeProvider, directive: str, error: type[ProviderError]
) -> None:
    with pytest.raises(error) as failed:
        await make().embed([f"x [[{directive}]]"])

    assert type(failed.value) is error
    assert len(provider.requests) == 1
    assert failed.value.retry_after == (7 if "ra=7" in directive else None)


async def test_a_provider_that_says_nothing_is_not_waited_for(make: Make) -> None:
    with pytest.raises(TimedOut):
        await make(timeouts=Timeouts(first_token=0.2)).embed(["x [[hold=inf]]"])


async def test_cancelling_closes_the_call(make: Make, provider: FakeProvider) -> None:
    task = asyncio.create_task(make().embed(["x [[hold=inf]]"]))
    await provider.arrived.wait()
    task.cancel()

    await asyncio.wait_for(provider.requests[0].ended.wait(), 1)
    assert provider.requests[0].outcome == "reader gone"


async def test_half_a_character_cannot_be_sent_and_breaks_nothing(make: Make) -> None:
    assert len((await make().embed(["\ud800 x\0"])).vectors) == 1


def openai_at(provider: FakeProvider, session: aiohttp.ClientSession) -> Embedder:
    """Return an embedder in OpenAI's format."""
    return openai_embedder(session=session, model="embed", base_url=provider.base_url)


async def test_vectors_that_come_in_another_order_are_put_in_place(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    texts = ["a", "b", "c [[shape=reversed]]"]
    found = await openai_at(provider, session).embed(texts)

    for vector, text in zip(found.vectors, texts, strict=True):
        assert likeness(vector, vector_of(text)) == pytest.approx(1, abs=1e-5)


async def test_a_server_that_knows_only_numbers_is_asked_for_numbers(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    refusal = encoded("Unknown parameter: encoding_format")
    embedder = openai_at(provider, session)
    for _ in range(2):
        found = await embedder.embed([f"x [[param=encoding_format;message={refusal}]]"])
        assert len(found.vectors[0]) == DIMENSIONS

    assert ["encoding_format" in each.body for each in provider.requests] == [True, False, False]


def packed(*numbers: float) -> str:
    """Return a vector as base64."""
    return base64.b64encode(array("f", numbers).tobytes()).decode()


NO_VECTORS: list[object] = [[], "", "x", "AAA=", 7, None, ["x"], {}, [0.0, 0.0], packed(math.nan, 1)]


@pytest.mark.parametrize(
    "data",
    [
        *([], None, 7, [7], [{}], [{"index": 0}]),
        *([{"index": 0, "embedding": each}] for each in NO_VECTORS),
        [{"index": 0, "embedding": [1.0]}] * 3,
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}],
    ],
)
async def test_what_is_no_vector_is_told_as_such(session: aiohttp.ClientSession, data: object) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response({"data": data})

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        embedder = openai_embedder(session=session, model="m", base_url=f"http://{host}:{port}")
        with pytest.raises(Garbled):
            await embedder.embed(["a", "b"])
    finally:
        await runner.cleanup()


async def test_the_official_clients_read_the_same(
    provider: FakeProvider, session: aiohttp.ClientSession
) -> None:
    texts = ["the quick brown fox", "Grüße, 世界"]
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="none") as oracle:
        answer = await oracle.embeddings.create(model="embed", input=texts)
        theirs = [each.embedding for each in answer.data]
    ours = await openai_at(provider, session).embed(texts)
    assert [list(each) for each in ours.vectors] == [pytest.approx(each, abs=1e-6) for each in theirs]

    async with ollama.AsyncClient(host=provider.root) as local:
        told = await local.embed(model="embed", input=texts)
    ours = await ollama_embedder(session=session, model="embed", base_url=provider.root).embed(texts)
    assert [list(each) for each in ours.vectors] == [
        pytest.approx(each, abs=1e-6) for each in told.embeddings
    ]

    options = genai.types.HttpOptions(base_url=provider.root)
    with genai.Client(api_key="none", http_options=options) as google:
        contents: Any = [genai.types.Content(parts=[genai.types.Part(text=text)]) for text in texts]
        made = google.models.embed_content  # blocking: it runs beside the fake, in a thread
        google_answer = await asyncio.to_thread(made, model="embed", contents=contents)
    ours = await gemini_embedder(session=session, model="embed", base_url=provider.root).embed(texts)
    values = [each.values for each in google_answer.embeddings or ()]
    assert [list(each) for each in ours.vectors] == [pytest.approx(each, abs=1e-6) for each in values]
