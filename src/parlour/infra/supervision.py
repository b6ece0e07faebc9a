"""Background work that must go on: started again when it fails, with the failure in the log."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

RESTART_SECONDS = 1.0

_log = structlog.get_logger(__name__)


async def supervise(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work``, which is meant never to end, again and again until cancelled."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it is, the work must go on, and the log has it
            _log.exception("background_work_failed", work=name)
        await asyncio.sleep(RESTART_SECONDS)
