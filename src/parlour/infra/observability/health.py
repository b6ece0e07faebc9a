"""How well a part of the server is: the protocol that every part's check speaks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class HealthState(StrEnum):
    """Healthy, limping, or unable to serve."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Health:
    """A part's state, and for the operator one sentence on it with the remedy where there is one."""

    state: HealthState
    detail: str


class HealthCheck(Protocol):
    """One part that can be asked how it is.

    Answer UNHEALTHY only when Parlour cannot serve without this part, else DEGRADED: one UNHEALTHY part
    takes the server out of rotation.
    """

    @property
    def name(self) -> str:
        """Return a stable name such as ``database``."""
        ...

    async def check(self) -> Health:
        """Look now, cheaply. Whatever this raises, or more than a second's silence, counts as UNHEALTHY."""
        ...
