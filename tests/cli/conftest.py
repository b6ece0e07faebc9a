"""Runs ``parlour`` as an operator does: as a process, with an environment of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 30  # a second on an idle machine; generous for a busy one
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing of the developer's own settings, and a data folder that nobody else has."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"PARLOUR_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def parlour(environ: dict[str, str], tmp_path: Path) -> Run:
    """Run a command to its end; named arguments are environment variables."""

    def run(*arguments: str, **variables: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "parlour", *arguments],
            env=environ | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


class Server:
    """A ``parlour serve`` of its own."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder

    @property
    def out(self) -> str:
        """What it has printed."""
        return (self._folder / "out").read_text()

    @property
    def err(self) -> str:
        """What it has logged."""
        return (self._folder / "err").read_text()

    def wait_until_ready(self) -> None:
        """Return when it answers that it is ready."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.err
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):  # noqa: S310 - our own address
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"not ready in time: {self.err}")

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Send a signal, wait for the end, and return how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(35)
        return time.monotonic() - began


@pytest.fixture
def serve(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers; named arguments are environment variables. They end with the test."""
    started: list[Server] = []

    def start(*arguments: str, **variables: str) -> Server:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        port = free_port()
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "parlour", "serve", "--port", str(port), *arguments],
                env=environ | variables,
                cwd=tmp_path,
                stdout=out,
                stderr=err,
                text=True,
            )
        server = Server(process, port, folder)
        started.append(server)
        server.wait_until_ready()
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
