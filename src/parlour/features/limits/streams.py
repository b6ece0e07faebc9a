"""How many streams a person may hold open at once (A-084)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from parlour.vocabulary.errors import TooMany
from parlour.vocabulary.principal import Principal

RETRY_SECONDS = 5.0  # nobody knows when a stream ends


class Streams:
    """The open streams of this server, by person."""

    def __init__(self, most: int) -> None:
        """Let everybody have ``most``."""
        self._most = most
        self._open: Counter[str] = Counter()

    def check(self, principal: Principal) -> None:
        """Raise TooMany when another stream would be one too many: before a response has begun."""
        if self._open[principal.person_id] >= self._most:
            raise TooMany(
                f"You have {self._most} answers open at once already. Close one of them first.",
                retry_after=RETRY_SECONDS,
            )

    @contextmanager
    def held(self, principal: Principal) -> Iterator[None]:
        """Count one stream for as long as the block runs."""
        self._open[principal.person_id] += 1
        try:
            yield
        finally:
            self._open[principal.person_id] -= 1
            if not self._open[principal.person_id]:
                del self._open[principal.person_id]
