"""How many answers a person may have open at once: streams, and whole ones that are waited for (A-084)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from parlour.vocabulary.errors import TooMany

RETRY_SECONDS = 5.0  # nobody knows when one of them ends


class Streams:
    """The open answers of this server, by person."""

    def __init__(self, most: int) -> None:
        """Let everybody have ``most``."""
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def held(self, person_id: str) -> Iterator[None]:
        """Count one as long as the block runs; raise TooMany when it would be one too many."""
        if self._open[person_id] >= self._most:
            raise TooMany(
                f"You have {self._most} answers open at once already. Wait for one of them, or close one.",
                retry_after=RETRY_SECONDS,
            )
        self._open[person_id] += 1
        try:
            yield
        finally:
            self._open[person_id] -= 1
            if not self._open[person_id]:
                del self._open[person_id]
