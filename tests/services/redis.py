"""A real Redis for tests: on a free port, without anything on disk, ended with the process that asked for it.

``PARLOUR_TEST_REDIS`` names the program; without it ``redis-server`` is looked for.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_SECONDS = 20
# Runs as long as our end of its standard input is open; signals of the terminal are not for it.
GUARD = """
trap '' INT TERM HUP
cat >/dev/null
kill -9 "$1" 2>/dev/null
"""


class RedisServer:
    """A server that can be stopped, frozen and started again, always at the same address."""

    def __init__(self, program: str, folder: Path) -> None:
        """Prepare; ``start`` runs it."""
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [self._program, *options, "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", str(self._process.pid)], stdin=subprocess.PIPE
        )
        deadline = time.monotonic() + START_SECONDS
        while self.command("PING") != b"+PONG\r\n":
            assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it: what it knew is gone."""
        if self._process is not None and self._guard is not None:
            self._guard.communicate()  # closes the pipe, upon which it kills
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it accept connections and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def command(self, line: str) -> bytes:
        """Send one inline command; return what comes back, empty when nobody is there."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"{line}\r\n".encode())
                return connection.recv(4096)
        except OSError:
            return b""


def program() -> str | None:
    """Return the server's program, if there is one."""
    return shutil.which(os.environ.get("PARLOUR_TEST_REDIS") or "redis-server")


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The program; without one the test fails and says what brings it."""
    found = program()
    if found is None:
        pytest.fail("There is no redis-server for the tests: .venv/bin/python scripts/ensure_redis.py")
    return found


@pytest.fixture
def redis_server(redis_program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A running server of this test's own, empty."""
    server = RedisServer(redis_program, tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.stop()
