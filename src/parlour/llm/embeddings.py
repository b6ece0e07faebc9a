"""Texts made into vectors by a provider: one protocol, and the wire formats of those who offer it.

Every vector has length 1, so that the product of two of them is their likeness, whatever the provider gave.
Texts go out in batches that each provider takes, one after the other, and come back in their order.
"""

import base64
import binascii
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp

from parlour.llm.timeouts import Timeouts
from parlour.llm.tokens import estimate_tokens
from parlour.llm.wire.call import Line
from parlour.llm.wire.events import counted
from parlour.llm.wire.text import well_formed
from parlour.vocabulary.errors import Garbled, Rejected

# OpenAI takes 300,000 tokens in a request; no token is less than a byte.
MOST_BYTES = 250_000
# How far from 1 the length of a vector may be that was meant to have it: float32, rounded decimals.
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector (of float32, length 1) for each text; ``estimated`` says that nobody counted the tokens."""

    vectors: tuple["array[float]", ...]
    tokens: int
    estimated: bool = False


class Embedder(Protocol):
    """One embedding model of one provider."""

    provider: str
    name: str

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embeddings:
        """Return a vector for each text, in order; of ``dimensions`` numbers, where the model can do that.

        Raises a :class:`~parlour.vocabulary.errors.ProviderError` when one of them cannot be had.
        """
        ...


class Format(Protocol):
    """How one API is asked for vectors."""

    most: int
    """Texts in one request."""

    def path(self, model: str) -> str:
        """Return what follows the base URL."""
        ...

    def body(self, model: str, texts: Sequence[str], dimensions: int | None) -> dict[str, Any]:
        """Return the request."""
        ...

    def read(self, document: Any) -> tuple[list[object], object]:  # noqa: ANN401 - whatever came
        """Return the vectors as they came, in the order of the texts, and the count of tokens.

        May raise KeyError, TypeError or AttributeError where the document is none of this API's.
        """
        ...

    def concede(self, error: Rejected) -> bool:
        """Tell whether :meth:`body` now leaves out what was refused, so that asking again makes sense."""
        ...


class HttpEmbedder:
    """An :class:`Embedder` over HTTP."""

    def __init__(self, line: Line, form: Format, *, provider: str, name: str) -> None:
        """Ask over ``line`` in the words of ``form``."""
        self.provider = provider
        self.name = name
        self._line = line
        self._form = form

    async def embed(self, texts: Sequence[str], *, dimensions: int | None = None) -> Embeddings:
        """Return a vector for each text, as :class:`Embedder` says."""
        vectors: list[array[float]] = []
        tokens, estimated = 0, False
        for batch in _batches([well_formed(text) or " " for text in texts], self._form.most):
            found, reported = self._read(await self._ask(batch, dimensions), len(batch))
            vectors += found
            count = counted(reported)
            estimated = estimated or not count
            tokens += count or sum(map(estimate_tokens, batch))
        if len({len(vector) for vector in vectors}) > 1:
            raise Garbled(cause="the provider gave vectors of different lengths")
        return Embeddings(tuple(vectors), tokens, estimated)

    async def _ask(self, batch: list[str], dimensions: int | None) -> object:
        path = self._form.path(self.name)
        try:
            return await self._line.post(path, self._form.body(self.name, batch, dimensions))
        except Rejected as error:
            if not self._form.concede(error):
                raise
        return await self._line.post(path, self._form.body(self.name, batch, dimensions))

    def _read(self, document: object, count: int) -> tuple[list["array[float]"], object]:
        try:
            found, tokens = self._form.read(document)
            vectors = [_vector(each) for each in found]
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise Garbled(cause=f"the answer holds no vectors: {type(error).__name__}") from error
        if len(vectors) != count:
            raise Garbled(cause=f"the provider gave {len(vectors)} vectors for {count} texts")
        return vectors, tokens


class _OpenAIFormat:
    """``/embeddings``. As base64 a vector takes a quarter of the room; some servers know only numbers."""

    most = 2_048

    def __init__(self) -> None:
        self._packed = True

    def path(self, model: str) -> str:  # noqa: ARG002 - a format's signature
        return "/embeddings"

    def body(self, model: str, texts: Sequence[str], dimensions: int | None) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "input": list(texts)}
        if self._packed:
            body["encoding_format"] = "base64"
        if dimensions is not None:
            body["dimensions"] = dimensions
        return body

    def read(self, document: Any) -> tuple[list[object], object]:  # noqa: ANN401 - whatever came
        data = sorted(document["data"], key=lambda each: each["index"])
        return [each["embedding"] for each in data], (document.get("usage") or {}).get("prompt_tokens")

    def concede(self, error: Rejected) -> bool:
        conceded = self._packed and "encoding_format" in (error.cause or "")
        self._packed = self._packed and not conceded
        return conceded


class _GeminiFormat:
    """``batchEmbedContents``: each text a content of its own, or newer models make one vector of all."""

    most = 100

    def path(self, model: str) -> str:
        return f"/v1beta/{quote(_resource(model))}:batchEmbedContents"

    def body(self, model: str, texts: Sequence[str], dimensions: int | None) -> dict[str, Any]:
        wish = {} if dimensions is None else {"outputDimensionality": dimensions}
        return {
            "requests": [
                {"model": _resource(model), "content": {"parts": [{"text": text}]}, **wish} for text in texts
            ]
        }

    def read(self, document: Any) -> tuple[list[object], object]:  # noqa: ANN401 - whatever came
        usage = document.get("usageMetadata") or {}
        return [each["values"] for each in document["embeddings"]], usage.get("promptTokenCount")

    def concede(self, error: Rejected) -> bool:  # noqa: ARG002 - a format's signature
        return False


class _OllamaFormat:
    """``/api/embed``, without the silent cut of what is too long for the model."""

    most = 64  # of its own accord it takes any number, and says nothing until it has done all

    def path(self, model: str) -> str:  # noqa: ARG002 - a format's signature
        return "/api/embed"

    def body(self, model: str, texts: Sequence[str], dimensions: int | None) -> dict[str, Any]:
        wish = {} if dimensions is None else {"dimensions": dimensions}
        return {"model": model, "input": list(texts), "truncate": False, **wish}

    def read(self, document: Any) -> tuple[list[object], object]:  # noqa: ANN401 - whatever came
        return list(document["embeddings"]), document.get("prompt_eval_count")

    def concede(self, error: Rejected) -> bool:  # noqa: ARG002 - a format's signature
        return False


def openai_embedder(
    *,
    session: aiohttp.ClientSession,
    model: str,
    base_url: str,
    api_key: str = "",
    timeouts: Timeouts | None = None,
    provider: str = "openai",
) -> Embedder:
    """Return an embedding model of OpenAI, or of a server that speaks its API."""
    key = api_key.strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    line = Line(session=session, base_url=base_url, headers=headers, secret=key, timeouts=timeouts)
    return HttpEmbedder(line, _OpenAIFormat(), provider=provider, name=model)


def gemini_embedder(
    *,
    session: aiohttp.ClientSession,
    model: str,
    base_url: str,
    api_key: str = "",
    timeouts: Timeouts | None = None,
    provider: str = "gemini",
) -> Embedder:
    """Return an embedding model of Google's; ``base_url`` may end in ``/v1beta``."""
    key = api_key.strip()
    root = base_url.rstrip("/").removesuffix("/v1beta")
    headers = {"x-goog-api-key": key} if key else {}
    line = Line(session=session, base_url=root, headers=headers, secret=key, timeouts=timeouts)
    return HttpEmbedder(line, _GeminiFormat(), provider=provider, name=model)


def ollama_embedder(
    *,
    session: aiohttp.ClientSession,
    model: str,
    base_url: str,
    api_key: str = "",
    timeouts: Timeouts | None = None,
    provider: str = "ollama",
) -> Embedder:
    """Return an embedding model that Ollama runs; ``base_url`` may end in ``/v1``."""
    key = api_key.strip()
    root = base_url.rstrip("/").removesuffix("/v1")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    line = Line(session=session, base_url=root, headers=headers, secret=key, timeouts=timeouts)
    return HttpEmbedder(line, _OllamaFormat(), provider=provider, name=model)


def _resource(model: str) -> str:
    return model if "/" in model else f"models/{model}"


def _batches(texts: list[str], most: int) -> Iterator[list[str]]:
    """Cut ``texts`` into batches of ``most`` at most, and of no more bytes than a request may have."""
    batch: list[str] = []
    room = MOST_BYTES
    for text in texts:
        size = len(text.encode())
        if batch and (len(batch) == most or size > room):
            yield batch
            batch, room = [], MOST_BYTES
        batch.append(text)
        room -= size
    if batch:
        yield batch


def _vector(value: object) -> "array[float]":
    """Return a vector of length 1. Raises TypeError or ValueError where there is none."""
    vector: array[float]
    if isinstance(value, str):
        try:
            vector = array("f", base64.b64decode(value, validate=True))
        except binascii.Error as error:
            raise ValueError("no base64") from error
    elif isinstance(value, list):
        vector = array("f", value)
    else:
        raise TypeError("neither numbers nor base64")
    length = math.hypot(*vector)
    if not (math.isfinite(length) and length > 0):
        raise ValueError("no direction")
    if abs(length - 1) <= _ROUNDING:
        return vector
    return array("f", [each / length for each in vector])
