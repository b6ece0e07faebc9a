"""Answers that were given before, for those who ask exactly the same (M-9). Off unless the operator asks.

Kept in memory, bounded in bytes and in time. The key is everything that could change the answer: whose
answers may be shared, the model, and the whole prompt. Only whole answers come in here: none that was
filtered, cut short, continued by another model, or that calls tools.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import orjson

from parlour.llm.model import Prompt

# What an entry takes beside its text: key, places in lists, objects.
OVERHEAD = 400


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    pieces: tuple[str, ...]
    size: int
    until: float


class ResponseCache:
    """Keeps the answers that were asked for last."""

    def __init__(
        self, *, most_bytes: int = 16_000_000, seconds: float = 3600.0, clock: Callable[[], float] = monotonic
    ) -> None:
        """Hold at most so many bytes, each answer so many seconds."""
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self.size = 0
        self.hits = 0
        self.misses = 0

    def get(self, scope: str, ref: str, prompt: Prompt) -> Kept | None:
        """Return the answer to exactly this, if it is still there; what is partly answered is never asked."""
        if prompt.partial:
            return None
        key = _key(scope, ref, prompt)
        found = self._kept.get(key)
        if found is not None and found.until <= self._clock():
            self._drop(key)
            found = None
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept.move_to_end(key)
        return found

    def put(self, scope: str, ref: str, prompt: Prompt, pieces: Sequence[str]) -> None:
        """Keep a whole answer; the ones that were not asked for the longest make room for it."""
        size = sum(len(piece.encode("utf-8", "replace")) for piece in pieces) + OVERHEAD
        size += 60 * len(pieces)  # each string has a head of its own
        if prompt.partial or not pieces or size > self._most_bytes:
            return
        key = _key(scope, ref, prompt)
        self._drop(key)
        while self.size + size > self._most_bytes:
            self._drop(next(iter(self._kept)))
        self._kept[key] = Kept(tuple(pieces), size, self._clock() + self._seconds)
        self.size += size

    def _drop(self, key: bytes) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self.size -= gone.size


def _key(scope: str, ref: str, prompt: Prompt) -> bytes:
    question = orjson.dumps(
        [scope, ref, replace(prompt, time_left=None)], default=_digest, option=orjson.OPT_SORT_KEYS
    )
    return hashlib.sha256(question).digest()


def _digest(value: object) -> object:
    """Return what stands for a value that JSON has no form for: a picture, a mapping of another kind."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError
