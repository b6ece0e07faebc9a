"""The contenders of one run, and how a job is given to the readers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from benchmarks.processes import ROOT, Server, start_parlour, start_relay, start_upstream
from benchmarks.workers.client import Job, Seen
from tests.services.postgres import PostgresServer, execute, running_server

RELAY, SQLITE, POSTGRES = "bare relay", "Parlour, SQLite", "Parlour, PostgreSQL"
JOB_SECONDS = 240


class BrokenMeasure(Exception):
    """A contender did not do what it was measured at."""


@dataclass(frozen=True)
class Bench:
    """Everything that runs during a run. ``quick`` says to measure less often."""

    folder: Path
    upstream: Server
    contenders: dict[str, Server]
    postgres: PostgresServer
    quick: bool

    @property
    def rounds(self) -> int:
        """How often the contenders take turns."""
        return 1 if self.quick else 3

    def ask(self, server: Server, **job: Any) -> Seen:  # noqa: ANN401 - the fields of a job
        """Let readers do a job with ``server``; see :func:`ask`."""
        return ask(server, **job)


def ask(server: Server, **job: Any) -> Seen:  # noqa: ANN401 - the fields of a job
    """Let readers do a job with ``server`` and return what they saw. Raises BrokenMeasure."""
    wanted = Job(kind=server.kind, port=server.port, server=server.pid, key=server.key, **job)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.workers.client"],
        input=json.dumps(asdict(wanted)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=JOB_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BrokenMeasure(f"{server.kind}: the readers failed:\n{done.stderr[-4000:]}")
    seen = Seen(**json.loads(done.stdout))
    if seen.failures:
        raise BrokenMeasure(f"{server.kind}: {seen.failures} answers were not whole")
    return seen


@contextmanager
def open_bench(folder: Path, *, quick: bool) -> Iterator[Bench]:
    """Start all contenders, one after the other, and end them afterwards."""
    with ExitStack() as stack:

        def started(server: Server) -> Server:
            stack.callback(server.stop)
            return server

        postgres = stack.enter_context(running_server())
        make_durable(postgres)
        upstream = started(start_upstream(folder / "upstream"))
        url = postgres.create_database()
        upgrade(url, folder / "postgres")
        contenders = {
            RELAY: started(start_relay(folder / "relay", upstream)),
            SQLITE: started(start_parlour(folder / "sqlite", upstream)),
            POSTGRES: started(start_parlour(folder / "postgres", upstream, url)),
        }
        yield Bench(folder, upstream, contenders, postgres, quick)


def make_durable(postgres: PostgresServer) -> None:
    """Let a server that was set up for tests wait for the disk, as one with people's words on it does."""
    superuser = make_url(postgres.url).set(username="postgres").render_as_string(hide_password=False)
    settings = ("fsync", "full_page_writes", "synchronous_commit")
    execute(superuser, *(f"ALTER SYSTEM SET {name} = on" for name in settings), "SELECT pg_reload_conf()")


def upgrade(url: str, folder: Path) -> None:
    """Create the tables as an operator does."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PARLOUR_DATABASE_URL": url,
        "PARLOUR_DATA_DIR": str(folder / "data"),
    }
    command = [sys.executable, "-m", "parlour", "db", "upgrade"]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=folder.parent)
