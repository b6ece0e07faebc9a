"""Stores what runs say while they say it: all of them in one transaction, a few times a second."""

import asyncio
import time

import structlog

from parlour.features.chat.log.live import LiveRun
from parlour.features.chat.log.reading import Log
from parlour.features.chat.store import runs
from parlour.features.chat.values import Lease
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import WORKER, Database
from parlour.vocabulary.errors import Unavailable

INTERVAL_SECONDS = 0.1  # at most this much of an answer is unsaid again after a crash

_log = structlog.get_logger(__name__)


class Journal:
    """Writes the new events of every live run, group by group."""

    def __init__(self, database: Database, log: Log, lease: Lease, metrics: Metrics) -> None:
        """Write as the owner that ``lease`` names."""
        self._database = database
        self._log = log
        self._lease = lease
        self._metrics = metrics

    async def keep(self) -> None:
        """Flush for ever; a database that is away is asked again, and nothing is forgotten meanwhile."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.flush()
            except Unavailable as error:
                _log.warning("journal_waits", cause=error.cause)

    async def flush(self) -> None:
        """Store every event that is not stored yet; runs that are no longer ours are cut off."""
        waiting = [
            live
            for live in self._log.live.values()
            if live.unstored and not live.lost and not live.writing.locked()
        ]
        if not waiting:
            return
        for live in waiting:
            await live.writing.acquire()  # free, as just seen: this does not wait
        try:
            await self._store(waiting)
        finally:
            for live in waiting:
                live.writing.release()

    async def _store(self, waiting: list[LiveRun]) -> None:
        batches = [(live.run.id, live.run.fence, live.unstored) for live in waiting]
        begun = time.perf_counter()
        ours = await self._database.write(
            WORKER, lambda connection: runs.append_events(connection, self._lease, batches)
        )
        self._metrics.journal_flushed(time.perf_counter() - begun)
        for live, (run_id, _, entries) in zip(waiting, batches, strict=True):
            if run_id in ours:
                live.stored += len(entries)
            else:
                _log.warning("run_lost", run_id=run_id, fence=live.run.fence)
                live.lose()
