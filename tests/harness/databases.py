"""Both databases for tests: a file of one's own, and a PostgreSQL database copied from a migrated one."""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from parlour.infra.storage.opening import open_database
from parlour.infra.storage.schema import metadata
from tests.services.postgres import PostgresServer, execute

BACKENDS = ("sqlite", "postgres")

MakeUrl = Callable[[str], str]
"""Make an empty, migrated database of a kind, for the life of the asking fixture; return its URL."""


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database with the newest schema; copies of it are made with ``template=``."""
    with postgres.database() as url:
        migrate(url)
        yield url


def migrate(url: str) -> None:
    """Bring a database's schema up, as ``parlour db upgrade`` does; safe inside a running loop."""

    async def work() -> None:
        database = open_database(url)
        try:
            await database.migrate()
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()


@pytest.fixture(scope="session")
def copy_of_template(postgres: PostgresServer, migrated_template: str) -> Iterator[Callable[[], str]]:
    """Copy the migrated PostgreSQL database; the copies go with the server, or with the session."""
    copies: list[str] = []

    def copy() -> str:
        copies.append(postgres.create_database(template=migrated_template))
        return copies[-1]

    yield copy
    if "PARLOUR_TEST_DATABASE_URL" in os.environ:  # a server of ours is wiped as a whole, which is faster
        for url in copies:
            postgres.drop_database(url)


@pytest.fixture(scope="session")
def make_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeUrl:
    """Make databases by kind; PostgreSQL is started by the first one that asks for it."""

    def make(backend: str) -> str:
        if backend == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('data') / 'parlour.db'}"
            migrate(url)
            return url
        copy: Callable[[], str] = request.getfixturevalue("copy_of_template")
        return copy()

    return make


@pytest.fixture(scope="session")
def used() -> list[str]:
    """PostgreSQL databases that their tests are through with; emptied, another test can have them."""
    return []


@pytest.fixture
def postgres_copy(request: pytest.FixtureRequest, used: list[str]) -> Iterator[str]:
    """The URL of a migrated PostgreSQL database without a row, this test's alone while it runs."""
    make: MakeUrl = request.getfixturevalue("make_url")
    url = used.pop() if used else make("postgres")
    yield url
    execute(url, f"TRUNCATE {', '.join(metadata.tables)} CASCADE")
    used.append(url)


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, make_url: MakeUrl) -> str:
    """The URL of a migrated database that is this test's alone; each test runs on both kinds."""
    if request.param == "sqlite":
        return make_url("sqlite")
    url: str = request.getfixturevalue("postgres_copy")
    return url
