"""Keeps this process's runs, and takes up those that nobody keeps any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from parlour.features.chat.store import runs, sessions
from parlour.features.chat.turn import Turns
from parlour.features.chat.values import Lease
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import WORKER, Database
from parlour.vocabulary.errors import Unavailable

WISHES_SECONDS = 0.5  # a stop takes effect within 1 s, also when it was asked of another process
RENEW_SECONDS = 3.0
REAP_SECONDS = 1.0
SWEEP_SECONDS = 300.0

_log = structlog.get_logger(__name__)


class Reaper:
    """Renews leases, notices wishes, adopts orphans and forgets old logs."""

    def __init__(
        self,
        *,
        database: Database,
        turns: Turns,
        lease: Lease,
        metrics: Metrics,
        alone: bool,
        event_retention: timedelta,
    ) -> None:
        """Work as the owner that ``lease`` names; ``alone`` if no other process can share the database."""
        self._database = database
        self._turns = turns
        self._lease = lease
        self._metrics = metrics
        self._alone = alone
        self._event_retention = event_retention

    async def hold(self) -> None:
        """Renew the leases of live runs for ever, and stop those whose stop was asked for."""
        renewed = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WISHES_SECONDS)
            if not self._turns.running:
                continue
            due = loop.time() - renewed >= RENEW_SECONDS
            if due:
                renewed = loop.time()
            try:
                await self._look(renew=due)
            except Unavailable as error:
                _log.warning("lease_not_renewed", cause=error.cause)

    async def reap(self) -> None:
        """Take up orphaned runs for ever."""
        while True:
            try:
                await self.reap_once()
            except Unavailable as error:
                _log.warning("reaper_waits", cause=error.cause)
            await asyncio.sleep(REAP_SECONDS)

    async def reap_once(self) -> None:
        """Take up every run whose owner is gone, and begin the ones that wait for nothing."""
        if self._turns.draining:
            return  # what this process would take up now it could not finish
        which: Any = {"alone": self._alone, "besides": self._turns.running}
        if not await self._database.read(WORKER, lambda c: runs.find_orphans(c, self._lease, **which)):
            return  # the usual case, without troubling the writer
        taken = await self._database.write(WORKER, lambda c: runs.take_over(c, self._lease, **which))
        for run in taken:
            if run.fence > 1:
                self._metrics.run_taken_over()
                _log.info("run_taken_over", run_id=run.id, session_id=run.session_id, fence=run.fence)
            self._turns.start(run)

    async def sweep(self) -> None:
        """Forget the logs of runs that ended long ago, for ever."""
        while True:
            before = datetime.now(UTC) - self._event_retention
            try:
                while await self._database.write(
                    WORKER,
                    lambda c: sessions.forget_events(c, before),  # noqa: B023
                ):
                    pass
            except Unavailable as error:
                _log.warning("sweep_waits", cause=error.cause)
            await asyncio.sleep(SWEEP_SECONDS)

    async def release(self) -> None:
        """Let others take up what this process leaves, at once."""
        await self._database.write(WORKER, lambda connection: runs.release(connection, self._lease))

    async def _look(self, *, renew: bool) -> None:
        ours = self._turns.running
        if renew:
            wishes = await self._database.write(
                WORKER, lambda connection: runs.renew(connection, self._lease, ours)
            )
        else:
            wishes = await self._database.read(
                WORKER, lambda connection: runs.wishes(connection, self._lease)
            )
        self._turns.notice_stops({run_id for run_id, stop in wishes.items() if stop})
        self._turns.let_go({run_id for run_id in ours if run_id not in wishes})
