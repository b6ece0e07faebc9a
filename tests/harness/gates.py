"""Ways past the limits, for tests of what stands behind them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from parlour.features.chat.values import Run
from parlour.vocabulary.attempt import Attempt


class OpenGate:
    """Lets every message in."""

    def check_session(self, tokens_used: int) -> None:
        """Find nothing wrong."""

    def reserve(self, connection: Connection, run: Run, text: str) -> None:
        """Reserve nothing."""


OPEN = OpenGate()


def for_nothing(connection: Connection, run: Run, attempts: Sequence[Attempt]) -> None:
    """Settle nothing."""
