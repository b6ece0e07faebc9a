"""What the doctor finds: a mark, what was looked at, and words that include the remedy."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``words`` include the remedy where something is wrong."""

    mark: Mark
    name: str
    words: str
