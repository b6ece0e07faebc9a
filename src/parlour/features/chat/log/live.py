"""The part of a log that this process owns: in memory, ahead of what is stored."""

import asyncio

import orjson

from parlour.features.chat.values import LeaseLost, Row, Run
from parlour.vocabulary.events import Entry, EventKind, Position

HEARTBEAT_SECONDS = 15.0  # P-10, and the client's own patience is 30 s


class StreamCut(Exception):
    """The stream ends here though the run has not: the reader shall come back and go on."""


class LiveRun:
    """This process's part of a run's log, while it owns the run."""

    def __init__(self, run: Run, kept: str) -> None:
        """Begin after ``kept``, the text that an earlier owner got stored."""
        self.run = run
        self.entries: list[Entry] = []
        self.stored = 0  # how many entries the database has
        self.ended = False
        self.lost = False  # another owner has the run: nothing of ours counts any more
        self.writing = asyncio.Lock()  # journal and end each store what the other has not
        self.shown = 0
        self._parts = [kept]
        self._length = len(kept)
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def text(self) -> str:
        """All that the reply has said."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0]

    @property
    def length(self) -> int:
        """How many code points the reply has said."""
        return self._length

    @property
    def unstored(self) -> list[Entry]:
        """Entries that readers may have seen and the database does not have."""
        return self.entries[self.stored : self.shown]

    def append(self, kind: EventKind, data: Row) -> None:
        """Add an event and show it to readers. Raises LeaseLost when another owner has the run."""
        if self.lost:
            raise LeaseLost
        place = Position(self.run.fence, len(self.entries) + 1)
        self.entries.append(Entry(place, kind, _encoded(data)))
        self._show()

    def append_text(self, content: str) -> None:
        """Add to what the reply says and show it to readers. Raises LeaseLost as :meth:`append`."""
        self._parts.append(content)
        self._length += len(content)
        self.append(EventKind.TEXT, {"content": content})

    def retract(self, length: int, reason: str) -> None:
        """Take back all but the first ``length`` code points, and say why."""
        kept = self.text[:length]
        self._parts, self._length = [kept], len(kept)
        self.append(EventKind.RETRACT, {"length": length, "reason": reason})

    def ending(self, kind: EventKind, data: Row) -> list[Entry]:
        """Return what is to be stored with the end: what is not yet, and the last event, still unseen."""
        place = Position(self.run.fence, self.shown + 1)
        return [*self.unstored, Entry(place, kind, _encoded(data))]

    def end(self, stored: list[Entry]) -> None:
        """Show the end, now that it is stored: readers learn of it no earlier."""
        self.entries.append(stored[-1])
        self.stored = len(self.entries)
        self.ended = True
        self._show()

    def lose(self) -> None:
        """Cut readers off: what was shown and not stored never happened."""
        self.lost = True
        self.wake()

    def wake(self) -> None:
        """Let every waiting reader look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def after(self, position: Position, pulse: "Pulse") -> list[Entry]:
        """Return the events after a place, waiting for one; empty when it is time to look around."""
        if position > Position(self.run.fence, self.shown):
            # A place that was never given out: what the reader holds is not ours, so it starts anew.
            return [Entry(Position(0, 1), EventKind.REWIND, b'{"length":0}')]
        if position.seq == self.shown and not self.ended and not self.lost:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await pulse.wait(waiter)
            finally:
                self._waiters.discard(waiter)
        return self.entries[position.seq : self.shown]

    def _show(self) -> None:
        self.shown = len(self.entries)
        self.wake()


def _encoded(data: Row) -> bytes:
    """Return JSON in bytes of its own: what orjson returns holds on to a buffer of 2 to 4 kB."""
    return b"%b" % orjson.dumps(data)


class Pulse:
    """Ends a reader's wait now and then, so that silence can be told from a dead connection.

    One timer for the whole stream, instead of one for every event, keeps tokens cheap.
    """

    def __init__(self, seconds: float = HEARTBEAT_SECONDS) -> None:
        """Beat every ``seconds``."""
        self._seconds = seconds
        self._due = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(seconds, self._beat)

    async def wait(self, waiter: asyncio.Future[None]) -> None:
        """Wait until somebody sets ``waiter``, or until the next beat."""
        self._waiter = waiter
        await waiter
        self._waiter = None

    def due(self) -> bool:
        """Tell, once for each beat, whether it is time for a sign of life."""
        due, self._due = self._due, False
        return due

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        self._due = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._beat)
