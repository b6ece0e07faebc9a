"""Vectors for the fake: alike for texts that share words, and the same in every run."""

from array import array
from hashlib import sha256

from tests.fakes.script import Script
from tests.fakes.service import Page, Request

DIMENSIONS = 64


def vector_of(text: str, dimensions: int | None = None) -> "array[float]":
    """Return the vector of a text: each word adds a direction of its own; length 1."""
    size = dimensions or DIMENSIONS
    sums = [0.0] * size
    for word in text.lower().split() or [""]:
        sums[int.from_bytes(sha256(word.encode("utf-8", "replace")).digest()[:4]) % size] += 1.0
    length = sum(each * each for each in sums) ** 0.5
    return array("f", [each / length for each in sums])


def texts_of(request: Request) -> list[str]:
    """Return the texts of a request in OpenAI's or Ollama's shape."""
    found = request.body.get("input", [])
    return [found] if isinstance(found, str) else list(found)


def words_of(request: Request) -> str:
    """Return the texts as one, for the directives in them."""
    return " ".join(texts_of(request))


def _gemini_texts(request: Request) -> list[str]:
    return [part["text"] for each in request.body["requests"] for part in each["content"]["parts"]]


def _gemini_vectors(script: Script, request: Request) -> object:
    wishes = [each.get("outputDimensionality") for each in request.body["requests"]]
    texts = _gemini_texts(request)
    vectors = [vector_of(text, wish) for text, wish in zip(texts, wishes, strict=True)]
    # As the real one does, it gives no vectors of length 1 when they were made shorter.
    values = [[each * (2.0 if wishes[0] else 1.0) for each in vector] for vector in vectors]
    words = sum(len(text.split()) for text in texts)
    counts = {"usageMetadata": {"promptTokenCount": words}} if script.usage != "none" else {}
    return {"embeddings": [{"values": each} for each in values], **counts}


GEMINI_PAGE = Page(
    "POST",
    r"/v1(beta)?/models/.+(:|%3A)batchEmbedContents",
    _gemini_vectors,
    question=lambda request: " ".join(_gemini_texts(request)),
)
