"""Vectors for the fake: alike for texts that share words, and the same in every run."""

from array import array
from hashlib import sha256

DIMENSIONS = 64


def vector_of(text: str, dimensions: int | None = None) -> "array[float]":
    """Return the vector of a text: each word adds a direction of its own; length 1."""
    size = dimensions or DIMENSIONS
    sums = [0.0] * size
    for word in text.lower().split() or [""]:
        sums[int.from_bytes(sha256(word.encode("utf-8", "replace")).digest()[:4]) % size] += 1.0
    length = sum(each * each for each in sums) ** 0.5
    return array("f", [each / length for each in sums])
