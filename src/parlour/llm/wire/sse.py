"""Server-Sent Events, read: bytes in at any boundary, whole events out.

Follows the WHATWG specification (line ends ``\\n``, ``\\r\\n``, ``\\r``; one byte order mark; comments;
fields with or without the space) and is lenient where the specification would lose words: an event whose
blank line is missing at the end of the stream is given out by :meth:`EventReader.rest`.

Works on bytes and leaves the decoding to whoever reads the data: a line end is one byte in UTF-8, never a
part of a character, so an event is always whole before it is decoded.
"""

from typing import NamedTuple

# The longest answer we take (a million characters) is 6 MB when each one is written as \uXXXX.
LARGEST_EVENT = 8 * 1024 * 1024

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event passed the limit; nothing of it can be used."""


class ServerEvent(NamedTuple):
    """One event: its name (empty for a plain message) and its data, lines joined by ``\\n``."""

    name: bytes
    data: bytes


class EventReader:
    """Puts together the events of one stream. Memory is bounded by the largest event."""

    def __init__(self, *, limit: int = LARGEST_EVENT) -> None:
        """Begin a stream whose events have at most ``limit`` bytes."""
        self._limit = limit
        self._held: list[bytes] = []  # pieces of a line whose end has not come
        self._held_size = 0
        self._data: list[bytes] = []  # data lines of an event whose blank line has not come
        self._data_size = 0
        self._name = b""
        self._after_return = False
        self._begun = False
        self.strange = 0
        """Lines that are no field and no comment: many of them, and no event, mean another protocol."""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Return the events that ``data`` completes, in order. Raises :class:`EventTooLarge`."""
        if b"\r" in data or self._after_return:
            data = self._with_plain_line_ends(data)
        head, end, tail = data.rpartition(b"\n")
        if not end:
            self._hold(tail)
            return []
        if self._held:
            self._held.append(head)
            head = b"".join(self._held)
            self._held.clear()
            self._held_size = 0
        if not self._begun:
            self._begun = True
            head = head.removeprefix(BYTE_ORDER_MARK)
        events = self._read(head.split(b"\n"))
        if tail:
            self._hold(tail)
        return events

    def rest(self) -> list[ServerEvent]:
        """Return what the end of the stream left without a line end or a blank line."""
        return self.feed(b"\n\n")

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_size += len(piece)
        if self._held_size + self._data_size > self._limit:
            raise EventTooLarge

    def _with_plain_line_ends(self, data: bytes) -> bytes:
        # A lone \r ends a line at once; the \n that may follow in the next piece belongs to it.
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]
            self._after_return = False
        if data:
            self._after_return = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _read(self, lines: list[bytes]) -> list[ServerEvent]:
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
                self._data_size += len(line)
                if self._data_size > self._limit:
                    raise EventTooLarge
            elif not line:
                if self._data:
                    events.append(ServerEvent(self._name, b"\n".join(self._data)))
                    self._data.clear()
                    self._data_size = 0
                self._name = b""
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ")
            elif not line.startswith((b":", b"id", b"retry")):
                self.strange += 1
        return events
