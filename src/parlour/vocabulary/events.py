"""The events of a run: what every reader of an answer sees, in the same order, by whichever transport."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import orjson


class EventKind(StrEnum):
    """What happened. Clients ignore kinds that they do not know."""

    START = "start"
    STATUS = "status"
    META = "meta"
    CITATION = "citation"
    TOOL = "tool"
    TEXT = "text"
    REWIND = "rewind"
    DONE = "done"
    RETRACT = "retract"
    DRAINING = "draining"
    ERROR = "error"


FINAL = (EventKind.DONE, EventKind.ERROR)


class Position(NamedTuple):
    """A place in a run's log: the owner's fencing number, and the place in that owner's part."""

    fence: int
    seq: int

    def __str__(self) -> str:
        """Write the id that readers present to go on from here."""
        return f"{self.fence}.{self.seq}"

    @classmethod
    def parse(cls, text: str | None) -> "Position":
        """Read an id; anything that is none means the beginning."""
        fence, _, seq = (text or "").partition(".")
        if len(fence) < 10 and len(seq) < 10 and fence.isdecimal() and seq.isdecimal():
            return cls(int(fence), int(seq))
        return BEGINNING


BEGINNING = Position(0, 0)


@dataclass(slots=True)
class Entry:
    """One event at its place. ``data`` is its JSON object, encoded once for all readers."""

    position: Position
    kind: EventKind
    data: bytes
    _sse: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def sse(self) -> bytes:
        """The event as a Server-Sent Events frame."""
        if self._sse is None:
            name = b"" if self.kind is EventKind.TEXT else b"event: %b\n" % self.kind.encode()
            place = b"" if self.position == BEGINNING else b"id: %d.%d\n" % self.position
            self._sse = b"%b%bdata: %b\n\n" % (place, name, self.data)
        return self._sse

    @property
    def value(self) -> dict[str, object]:
        """The event's data as a value."""
        decoded: dict[str, object] = orjson.loads(self.data)
        return decoded


def text_after(text: str, entry: Entry) -> str:
    """Return what a reader holds after ``entry``, having held ``text`` before it.

    ``length`` in ``rewind`` and ``retract`` counts Unicode code points.
    """
    if entry.kind is EventKind.TEXT:
        return text + str(entry.value["content"])
    if entry.kind in (EventKind.REWIND, EventKind.RETRACT):
        length = entry.value["length"]
        return text[: length if isinstance(length, int) else 0]
    return text
