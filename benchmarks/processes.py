"""The processes of a run: each is started alone, watched until it is healthy, and ended at the end."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]  # ships no types

START_SECONDS = 60.0
STOP_SECONDS = 40.0
ROOT = Path(__file__).parents[1]


def cpu_seconds(process: int) -> float:
    """Return the CPU time of all threads of a process, to the nanosecond where the system tells it."""
    if sys.platform == "linux":
        # The clock that clock_getcpuclockid(3) names: psutil's own figures come in steps of 10 ms.
        return time.clock_gettime((~process << 3) | 2)
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def resident_bytes(process: int) -> int:
    """Return how much memory a process holds."""
    return int(psutil.Process(process).memory_info().rss)


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server in a process of its own."""

    def __init__(
        self,
        kind: str,
        command: list[str],
        *,
        port: int,
        health: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        key: str = "",
        patience: float = START_SECONDS,
    ) -> None:
        """Start it in ``folder`` and wait until ``health`` answers; its output goes to a file there.

        ``key`` is what its readers show; without one they come in as they can.
        """
        self.kind = kind
        self.port = port
        self.key = key
        folder.mkdir(parents=True, exist_ok=True)
        self._output: IO[bytes] = (folder / "output").open("ab")
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**_plain_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )
        self.pid = self._process.pid
        try:
            self._wait(health, folder / "output", patience)
        except BaseException:
            self.stop()
            raise
        self.seconds_to_healthy = time.perf_counter() - began

    def stop(self) -> None:
        """End it, politely at first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._output.close()

    def _wait(self, health: str, output: Path, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not _answers(self.port, health):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = output.read_text(errors="replace")[-4000:]
                raise RuntimeError(f"{self.kind} did not start:\n{said}")
            time.sleep(0.005)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _plain_environment() -> dict[str, str]:
    """Return the environment without what would change the servers' settings or slow their start."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            ("PARLOUR_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "OLLAMA_", "PYTHON")
        )
    }
    return kept | {"PYTHONPATH": str(ROOT)}


def start_upstream(folder: Path) -> Server:
    """Start the fake provider."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.workers.upstream", str(port)]
    return Server("upstream", command, port=port, health="/health", folder=folder)


def start_relay(folder: Path, upstream: Server) -> Server:
    """Start the bare relay."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.workers.relay", str(port), base_url(upstream)]
    return Server("relay", command, port=port, health="/livez", folder=folder)


def start_parlour(folder: Path, upstream: Server, database_url: str | None = None) -> Server:
    """Start Parlour as an operator does, with everything switched on; its data lie in ``folder``."""
    port = free_port()
    environment = {
        "PARLOUR_PORT": str(port),
        "PARLOUR_DATA_DIR": str(folder / "data"),
        "PARLOUR_LOG_FORMAT": "json",
        "PARLOUR_FIND_OLLAMA": "off",
        # On, and out of the way: what is measured is their cost.
        "PARLOUR_REQUESTS_PER_MINUTE": "1000000",
        "PARLOUR_TOKENS_PER_MINUTE": "1000000000",
        "PARLOUR_STREAMS_PER_PERSON": "10000",
        "OPENAI_BASE_URL": base_url(upstream),
        "OPENAI_API_KEY": "sk-of-the-benchmark",
    }
    if database_url is not None:
        environment["PARLOUR_DATABASE_URL"] = database_url
    return Server(
        "parlour",
        [sys.executable, "-m", "parlour", "serve"],
        port=port,
        health="/readyz",
        folder=folder,
        environment=environment,
    )


def base_url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/v1"
