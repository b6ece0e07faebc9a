"""Whether there is room left to keep what people say."""

import asyncio
import shutil
from pathlib import Path

from parlour.infra.observability.health import Health, HealthState

LOW_BYTES = 512 * 1024 * 1024
NONE_BYTES = 16 * 1024 * 1024  # less than SQLite needs to go on writing for a while


class SpaceCheck:
    """The room left on the disk of a folder."""

    name = "disk"

    def __init__(self, folder: Path) -> None:
        """Look at the disk that ``folder`` is on."""
        self._folder = folder

    async def check(self) -> Health:
        """Degraded when it gets tight, unhealthy when nothing more can be kept."""
        free = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
        left = f"{free // (1024 * 1024):,} MB free at {self._folder}."
        if free < NONE_BYTES:
            return Health(HealthState.UNHEALTHY, f"{left} Free some space: nothing more can be stored.")
        if free < LOW_BYTES:
            return Health(HealthState.DEGRADED, f"{left} Free some space soon.")
        return Health(HealthState.HEALTHY, left)
