"""A reader of event streams written from the standard alone, so that no mistake of ours is in it twice.

It follows https://html.spec.whatwg.org/multipage/server-sent-events.html to the letter, as browsers do.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Frame:
    """One dispatched event: its type, its data, and the last event id at that moment."""

    event: str
    data: str
    id: str

    @property
    def value(self) -> dict[str, Any]:
        """The data as JSON; ``[DONE]`` has none."""
        found: dict[str, Any] = json.loads(self.data)
        return found


@dataclass
class EventReader:
    """What a reader knows after some bytes of a stream."""

    frames: list[Frame] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    last_id: str = ""
    _rest: bytes = b""
    _id: str = ""
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, data: bytes) -> list[Frame]:
        """Take more bytes; return the events that they complete."""
        before = len(self.frames)
        self._rest += data
        # A carriage return at the very end may be half of a line end: it waits for the next byte.
        cut = max(self._rest.rfind(b"\n"), self._rest.rfind(b"\r", 0, max(len(self._rest) - 1, 0))) + 1
        whole, self._rest = self._rest[:cut], self._rest[cut:]
        if whole:
            for line in _LINE_END.split(whole.decode("utf-8"))[:-1]:
                self._take(line)
        return self.frames[before:]

    def cut_off(self) -> None:
        """Forget a half-read event, as a reader does whose connection broke; what was dispatched stays."""
        self._rest, self._data, self._event, self._id = b"", [], "", self.last_id

    @property
    def done(self) -> bool:
        """Whether the end of the stream was announced."""
        return bool(self.frames) and self.frames[-1].data == "[DONE]"

    @property
    def text(self) -> str:
        """What a reader ends up with."""
        return put_together(self.frames)

    def _take(self, line: str) -> None:
        if line == "":
            self._dispatch()
        elif line.startswith(":"):
            self.comments.append(line[1:].removeprefix(" "))
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case _:
                raise AssertionError(f"a stream of ours has no field {name!r}")

    def _dispatch(self) -> None:
        self.last_id = self._id
        if self._data:
            self.frames.append(Frame(self._event or "message", "\n".join(self._data), self._id))
        self._data, self._event = [], ""


def put_together(frames: Iterable[Frame]) -> str:
    """Return the text that a reader shows who does what the contract says."""
    text = ""
    for frame in frames:
        if frame.data == "[DONE]":
            continue
        if frame.event == "message":
            text += frame.value["content"]
        elif frame.event in ("rewind", "retract"):
            text = text[: frame.value["length"]]
    return text


def read_all(raw: bytes) -> EventReader:
    """Read a whole stream at once."""
    reader = EventReader()
    reader.feed(raw)
    return reader
