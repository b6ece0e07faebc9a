"""The real server as a process of its own: started, killed, paused and started again on the same data.

Only the command line and the environment are used, as an operator would. Everything the process prints is
kept beside its data and attached to the failure of a test.
"""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from tests.harness.waiting import until

ROOT = Path(__file__).parents[2]
START_SECONDS = 40.0  # two on an idle machine; generous for one where many tests run
SHOWN_LINES = 80
# Below the range from which the system takes ports for outgoing connections: a port that a killed server
# leaves must still be free when it starts again.
PORTS = range(15_000, 32_000)
# Limits are on, and out of the way of what is tested.
AMPLE = {
    "PARLOUR_REQUESTS_PER_MINUTE": "1000000",
    "PARLOUR_TOKENS_PER_MINUTE": "1000000000",
    "PARLOUR_STREAMS_PER_PERSON": "10000",
}
# What would change the server's behaviour, or slow its start, if it came from the developer's shell.
FOREIGN = (
    "PARLOUR_",
    "OPENAI_",
    "ANTHROPIC_",
    "GEMINI_",
    "GOOGLE_",
    "OLLAMA_",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONASYNCIODEBUG",
)


class ServerProcess:
    """One ``parlour serve``. Leaving the context kills it."""

    def __init__(self, data: Path, *, environment: Mapping[str, str] | None = None) -> None:
        """Keep everything in ``data``; ``environment`` adds settings."""
        self.data = data
        self.port = free_port()
        self.environment = {
            "PARLOUR_DATA_DIR": str(data),
            "PARLOUR_PORT": str(self.port),
            "PARLOUR_LOG_FORMAT": "json",
            "PARLOUR_KNOWLEDGE": "off",
            "PARLOUR_FIND_OLLAMA": "off",  # a developer may have one
            **AMPLE,
            **(environment or {}),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Enter without starting anything yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left, and tell a failure how the server was and what it said."""
        state = "is alive" if self.alive else f"has ended: {self._process and self._process.returncode}"
        if self.alive:
            self.kill()
            await self.exited()
        if error is not None:
            lines = self.log.splitlines()[-SHOWN_LINES:]
            error.add_note("\n".join([f"The server of {self.data} {state}. It said last:", *lines]))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """Return the URL of its database."""
        return self.environment.get("PARLOUR_DATABASE_URL", f"sqlite:///{self.data / 'parlour.db'}")

    @property
    def log(self) -> str:
        """Everything that all processes of this server have printed."""
        path = self._log_path
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """Return the process's number."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the process is there."""
        return self._process is not None and self._process.returncode is None

    @property
    def _log_path(self) -> Path:
        return self.data.with_name(f"{self.data.name}-{self.port}.log")

    async def start(self) -> Self:
        """Start the process and wait until it can serve."""
        await self.launch()
        await self.ready()
        return self

    async def launch(self) -> None:
        """Start the process, and wait for nothing."""
        assert not self.alive
        with self._log_path.open("ab") as sink:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "parlour",
                "serve",
                cwd=ROOT,
                env=clean_environment() | self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )

    async def ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until it says that it can serve."""
        await until(self._says_ready, seconds, "the server is ready")

    async def _says_ready(self) -> bool:
        if not self.alive:
            raise AssertionError(f"the server ended while it started:\n{self.log[-4000:]}")
        return await self.status("/readyz") == 200

    async def status(self, path: str) -> int | None:
        """Return the status of a GET; None when nobody listens or answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(self.url + path) as response,
            ):
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def kill(self) -> None:
        """End it as a power cut would: nothing of it runs any more."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on as if nothing had happened."""
        self._signal(signal.SIGCONT)

    async def exited(self, seconds: float = 40.0) -> int:
        """Wait for its end and return its exit status, negative for a signal."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), seconds)

    async def kill_and_restart(self) -> None:
        """Kill it and start it again on the same data and port."""
        self.kill()
        await self.exited()
        await self.start()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would reach into the server's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def free_port() -> int:
    """Return a port that nobody listens on."""
    for _ in range(100):
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


async def run_command(*words: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a ``parlour`` command to its end; return its status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parlour",
        *words,
        cwd=ROOT,
        env=clean_environment() | dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), START_SECONDS)
    return process.returncode or 0, output.decode(errors="replace")
