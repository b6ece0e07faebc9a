"""The long form of the kill rounds: ``python -m tests.faults.soak --rounds 300 --database sqlite``."""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.provider import FakeProvider
from tests.faults.rounds import Figures, kill_rounds
from tests.harness.process import ServerProcess, run_command
from tests.services.postgres import running_server

DATABASES = ("sqlite", "postgres")


async def kill_for_long(folder: Path, *, rounds: int, seed: int, database_url: str | None) -> Figures:
    """Run the rounds on an empty SQLite file, or on the empty PostgreSQL database at ``database_url``."""
    async with FakeProvider() as provider:
        environment = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_MODEL": "fake"}
        if database_url is not None:
            environment["PARLOUR_DATABASE_URL"] = database_url
            status, said = await run_command(
                "db", "upgrade", environment={**environment, "PARLOUR_DATA_DIR": str(folder)}
            )
            assert status == 0, said
        async with ServerProcess(folder / "data", environment=environment) as server:
            return await kill_rounds(server, provider, rounds=rounds, seed=seed, tell=_tell)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _database(kind: str) -> Iterator[str | None]:
    if kind == "sqlite":
        yield None
        return
    with running_server() as server, server.database() as url:
        yield url.replace("+asyncpg", "")


def main() -> None:
    """Run, and fail with what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    # The fake provider goes on writing to servers that were killed, and asyncio would tell each time.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, _database(wanted.database) as url:
        figures = asyncio.run(
            kill_for_long(Path(folder), rounds=wanted.rounds, seed=wanted.seed, database_url=url)
        )
    for finding in figures.findings:
        _tell(finding)
    sys.exit(1 if figures.findings else 0)


if __name__ == "__main__":
    main()
