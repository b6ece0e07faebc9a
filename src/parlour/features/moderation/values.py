"""The words of this room: where something was found, what is done about it, and what was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

# Stands where something was taken out for good. No word, so that it needs no translation.
TAKEN_OUT: Final = "[…]"


class Stage(StrEnum):
    """Where a text stands on its way: what a person wrote, what was looked up, what the model says."""

    INPUT = "input"
    RETRIEVED = "retrieved"
    OUTPUT = "output"


class Action(StrEnum):
    """What is done about a finding, mildest first. ``off`` means that nobody looks."""

    OFF = "off"
    FLAG = "flag"
    MASK = "mask"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rule or the provider objects to, and what was done about it.

    ``rule`` names the rule (``own: casino``, ``cue: key``, ``provider: hate``); the text itself is in the
    message. ``detail`` holds figures, such as how many values of each kind were masked.
    """

    stage: Stage
    rule: str
    action: Action
    detail: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a person's message.

    ``action`` ``off`` means that nothing was found; with ``mask``, ``texts`` are what goes on in the place of
    what was judged; with ``block`` nothing goes on, and ``sentence`` is the whole answer. ``excerpt`` is what
    somebody who reviews it needs to see where no message is kept.
    """

    action: Action
    texts: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    sentence: str = ""
    excerpt: str | None = None

    @property
    def text(self) -> str:
        """What goes on in the place of the only text, or of the last one."""
        return self.texts[-1]

    @property
    def blocked(self) -> bool:
        """Tell whether the message goes no further."""
        return self.action is Action.BLOCK


@dataclass(frozen=True, slots=True)
class About:
    """The message whose answer is being made: what a flag points to.

    Where no message is kept there is its sender, with the API key in use, and an excerpt.
    """

    person_id: str
    session_id: str | None = None
    message_id: str | None = None
    run_id: str | None = None
    key_id: str | None = None
    excerpt: str | None = None


@dataclass(frozen=True, slots=True)
class MaskReceipt:
    """What did not leave the server: how many different values of each kind were masked (B-8)."""

    counts: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether anything was masked."""
        return bool(self.counts)


@dataclass(frozen=True, slots=True)
class Say:
    """Show this text after what was shown before."""

    text: str


@dataclass(frozen=True, slots=True)
class Retract:
    """Keep the first ``length`` code points of the whole reply; ``reason`` is a stable word for clients."""

    length: int
    reason: str = "moderation"


GuardEvent = Say | Retract
