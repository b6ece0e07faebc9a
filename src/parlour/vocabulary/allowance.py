"""How much may be used in a while, and how much of it is left."""

from dataclasses import dataclass
from typing import Literal

Resource = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit as it stands: ``limit`` of the resource in ``window`` seconds, ``remaining`` now.

    ``more_in`` and ``all_in`` are seconds until at least one more, and until everything, may be used again.
    """

    resource: Resource
    limit: int
    window: int
    remaining: int
    more_in: float
    all_in: float
