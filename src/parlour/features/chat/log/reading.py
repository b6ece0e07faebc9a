"""Reading a log, wherever its parts are."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from parlour.features.chat.log.live import LiveRun, Pulse, StreamCut
from parlour.features.chat.schemas import retold
from parlour.features.chat.store import runs, sessions
from parlour.features.chat.values import Run
from parlour.infra.storage.database import WORKER, Database
from parlour.llm.model import Chosen
from parlour.vocabulary.events import BEGINNING, FINAL, Entry, EventKind, Position, text_after
from parlour.vocabulary.messages import Status

POLL_SECONDS = 0.2  # how far a reader may lag behind a run that lives in another process
AFTER_THE_LOG = 999_999_000  # places of events that are told from the stored message, its log being gone


@dataclass(slots=True)
class Kept:
    """What earlier owners left: the text, and which models they had asked."""

    text: str = ""
    asked: list[Chosen] = field(default_factory=list)


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

    async def kept(self, run: Run) -> Kept:
        """Return what earlier owners of the run got stored of it."""
        kept, position = Kept(), BEGINNING
        while entries := (await self._events(run, position))[0]:
            for entry in entries:
                kept.text = text_after(kept.text, entry)
                if entry.kind is EventKind.META:
                    told = entry.value
                    chosen = Chosen(str(told["provider"]), str(told["model"]), str(told.get("why") or ""))
                    kept.asked.append(chosen)
            position = entries[-1].position
        return kept

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
        last = await self._database.read(WORKER, lambda c: runs.last_position(c, run.id))
        if position == last:
            return []
        message = await self._database.read(WORKER, lambda c: sessions.plain_message(c, run.message_id))
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
            lambda connection: runs.events_after(connection, run.id, position, below_fence=below_fence),
        )
