"""The PostgreSQL that the other tests stand on: real, apart, and gone when its owner is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.services.postgres import PostgresServer, execute

pytestmark = pytest.mark.anyio


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_the_server_is_postgresql_and_our_role_is_an_ordinary_one(postgres_database: str) -> None:
    assert "PostgreSQL" in str(await value(postgres_database, "SELECT version()"))
    privileged = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    assert os.environ.get("PARLOUR_TEST_DATABASE_URL") or await value(postgres_database, privileged) is False


async def test_a_database_made_from_a_template_has_its_tables_and_is_apart_from_it(
    postgres: PostgresServer,
) -> None:
    with postgres.database() as template:
        execute(template, "CREATE TABLE words (word text)", "INSERT INTO words VALUES ('parlour')")
        with postgres.database(template=template) as copy:
            execute(copy, "INSERT INTO words VALUES ('salon')")
            assert await value(copy, "SELECT count(*) FROM words") == 2
        assert await value(template, "SELECT count(*) FROM words") == 1


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the server's processes in /proc")
def test_nothing_is_left_when_the_process_that_asked_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.services.postgres"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        url = make_url(owner.stdout.readline().strip())
        (directory,) = (path for path in server_directories() if f"-p {url.port}" in server_options(path))
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not directory.exists()


def server_directories() -> list[Path]:
    """The data directories of the running servers, as their processes name them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        found += [
            Path(words[words.index("-D") + 1]) for _ in (1,) if "postgres" in words[0] and "-D" in words
        ]
    return [path for path in found if path.parent.name.startswith("parlour-postgres-")]


def server_options(directory: Path) -> str:
    options = directory / "postmaster.opts"
    return options.read_text().replace('"', "") if options.exists() else ""
