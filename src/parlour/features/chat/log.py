"""The event log of runs: one implementation feeds every transport.

The owner of a run keeps its part of the log in memory and wakes its readers at once; the journal stores it a
moment later. A reader here follows the memory, a reader elsewhere the database; neither can tell which.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import orjson

from parlour.features.chat import store, store_runs
from parlour.features.chat.schemas import retold
from parlour.features.chat.values import LeaseLost, Row, Run
from parlour.infra.storage.database import WORKER, Database
from parlour.vocabulary.events import BEGINNING, FINAL, Entry, EventKind, Position, text_after
from parlour.vocabulary.messages import Status

HEARTBEAT_SECONDS = 15.0  # P-10, and the client's own patience is 30 s
POLL_SECONDS = 0.2  # how far a reader may lag behind a run that lives in another process
AFTER_THE_LOG = 999_999_000  # places of events that are told from the stored message, its log being gone


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
        self.entries.append(Entry(place, kind, orjson.dumps(data)))
        self._show()

    def append_text(self, content: str) -> None:
        """Add to what the reply says and show it to readers. Raises LeaseLost as :meth:`append`."""
        self._parts.append(content)
        self._length += len(content)
        self.append(EventKind.TEXT, {"content": content})

    def ending(self, kind: EventKind, data: Row) -> list[Entry]:
        """Return what is to be stored with the end: what is not yet, and the last event, still unseen."""
        place = Position(self.run.fence, self.shown + 1)
        return [*self.unstored, Entry(place, kind, orjson.dumps(data))]

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


class Log:
    """All runs' logs, wherever they are."""

    def __init__(self, database: Database) -> None:
        """Read what other owners wrote from ``database``."""
        self._database = database
        self._draining = False
        self._opened = asyncio.Event()
        self.live: dict[str, LiveRun] = {}

    def open(self, run: Run, kept: str = "") -> LiveRun:
        """Begin this process's part of a run's log."""
        live = self.live[run.id] = LiveRun(run, kept)
        self._opened.set()
        self._opened = asyncio.Event()
        return live

    def close(self, live: LiveRun) -> None:
        """Forget a run that has ended or was lost; the database has the rest."""
        if self.live.get(live.run.id) is live:
            del self.live[live.run.id]

    def drain(self) -> None:
        """Tell every reader that this process goes away, and let it come back elsewhere."""
        self._draining = True
        self._opened.set()
        for live in self.live.values():
            live.wake()

    async def read(self, run: Run, after: Position = BEGINNING) -> AsyncGenerator[list[Entry], None]:
        """Yield the events of ``run`` after a position, in order, until its last one.

        An empty list is a heartbeat. Raises StreamCut when the reader has to come back to go on.
        """
        pulse = Pulse()
        position = after
        try:
            while True:
                live = self.live.get(run.id)
                if live is None or live.lost:
                    entries, done = await self._stored(run, position)
                elif position.fence < live.run.fence:
                    entries, done = await self._older(run, position, live), False
                    if not entries:
                        position = Position(live.run.fence, 0)
                        continue
                else:
                    entries = await live.after(position, pulse)
                    done = live.ended and live.shown <= position.seq + len(entries)
                if entries:
                    position = entries[-1].position
                if entries or pulse.due():
                    yield entries
                if done:
                    return
                if self._draining:
                    raise StreamCut
        finally:
            pulse.stop()

    async def wait(self, run: Run) -> None:
        """Return when the run has ended and is stored. Raises StreamCut like :meth:`read`."""
        async for _ in self.read(run):
            pass

    async def stored_text(self, run: Run) -> str:
        """Return what earlier owners of the run got stored of its text."""
        text, position = "", BEGINNING
        while entries := (await self._events(run, position))[0]:
            for entry in entries:
                text = text_after(text, entry)
            position = entries[-1].position
        return text

    async def _older(self, run: Run, position: Position, live: LiveRun) -> list[Entry]:
        """Return what owners before this one got stored; the first owner has none before it.

        Of its own part nothing is read back: the end is stored a moment before it may be shown.
        """
        if live.run.fence == 1:
            return []
        entries, _ = await self._events(run, position, below_fence=live.run.fence)
        return entries

    async def _stored(self, run: Run, position: Position) -> tuple[list[Entry], bool]:
        """Read on in the database, of a run that lives elsewhere or has ended; tell whether that is all."""
        entries, status = await self._events(run, position)
        if entries:
            return entries, entries[-1].kind in FINAL
        if status.final:
            return await self._past_the_end(run, position), True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._opened.wait(), POLL_SECONDS)
        return [], False

    async def _past_the_end(self, run: Run, position: Position) -> list[Entry]:
        """Return what a reader still lacks of a run that has ended and has no events after its place."""
        last = await self._database.read(WORKER, lambda c: store_runs.last_position(c, run.id))
        if position == last:
            return []
        message = await self._database.read(WORKER, lambda c: store.plain_message(c, run.message_id))
        start, *rest = retold(run, message)
        # Every telling numbers its events alike, so that one that breaks off can be gone on with, too.
        told = [
            Entry(Position(max(run.fence, 1), AFTER_THE_LOG + place), kind, orjson.dumps(data))
            for place, (kind, data) in enumerate([start, (EventKind.REWIND, {"length": 0}), *rest])
        ]
        if position == BEGINNING:
            return [entry for entry in told if entry.kind is not EventKind.REWIND]
        if told[0].position <= position <= told[-1].position:
            return [entry for entry in told if entry.position > position]
        return told

    async def _events(
        self, run: Run, position: Position, *, below_fence: int | None = None
    ) -> tuple[list[Entry], Status]:
        return await self._database.read(
            WORKER,
            lambda connection: store_runs.events_after(connection, run.id, position, below_fence=below_fence),
        )
