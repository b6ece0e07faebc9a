"""``parlour serve``: one uvicorn server in this process, told to the application when it must end.

Uvicorn waits for open connections before it tells the application anything, and an event stream stays open
for as long as it is allowed to. So the signal goes to the application first: it ends its streams, readers
resume elsewhere, and the process is gone within 30 s (D12, P-18).
"""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Final, Never

import structlog
import typer
import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from parlour import __version__
from parlour.entrypoints.http.connections import BoundedConnection
from parlour.infra.garbage import spare_what_stays
from parlour.infra.observability.logs import choose_style, configure_logging
from parlour.infra.observability.sink import LogSink
from parlour.settings import Settings, without_effect
from parlour.vocabulary.errors import ParlourError, Unavailable

log = structlog.get_logger(__name__)

BACKLOG: Final = 2048
KEEP_ALIVE_SECONDS: Final = 55
CLOSE_SECONDS: Final = 3  # streams end at once when told; what does not is cut, and resumes
SOCKET_MESSAGE_LIMIT: Final = 256 * 1024
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
STANDARD_ERROR: Final = 2


def serve(settings: Settings, make_app: Callable[[Settings, Callable[[str], None]], FastAPI]) -> None:
    """Serve until a signal ends it. Raises ParlourError, with the remedy, when it cannot start.

    ``make_app`` takes the settings, with the port that was taken, and what tells the operator the owner's
    sign-in link.
    """
    listener = listen(settings.server.host, settings.server.port)
    settings = _with_port(settings, listener.getsockname()[1])
    sink = LogSink(STANDARD_ERROR)
    style = choose_style(settings.log.format, production=settings.production)
    configure_logging(sink=sink, style=style, level=settings.log.level, color=sys.stderr.isatty())
    for line in without_effect(settings):
        log.warning("setting_without_effect", reason=line)
    try:
        app = make_app(settings, _tell_link)
        sink.count_drops(app.state.metrics.log_line_dropped)
        start = _Start(app)
        logging.getLogger("uvicorn.error").addFilter(_says_more_than_we_do)
        server = _Server(_config(start), app=app, tell=lambda: _tell_address(settings))
        try:
            server.run(sockets=[listener])
        except SystemExit:
            start.explain()
    finally:
        listener.close()
        sink.close()


def _says_more_than_we_do(record: logging.LogRecord) -> bool:
    return record.getMessage() != "Application startup failed. Exiting."


def _config(app: "_Start") -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        lifespan="on",
        ws_max_size=SOCKET_MESSAGE_LIMIT,
        ws_per_message_deflate=False,  # a kilobyte must not become a hundred megabytes
        log_config=None,
        access_log=False,  # ours has the request's id
        server_header=False,
        proxy_headers=False,  # infra/web/addresses.py knows whom to believe
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        reset_contextvars=True,
    )


def listen(host: str, port: int) -> socket.socket:
    """Take the port at once, so that a second server sees it taken. Raises Unavailable in words."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        _refuse(host, port, error)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    except OSError as error:
        listener.close()
        _refuse(host, port, error)
    return listener


def _refuse(host: str, port: int, error: OSError) -> Never:
    match error.errno:
        case errno.EADDRINUSE:
            sentence = (
                f"Port {port} on {host} is taken by another program. "
                "Stop it, or choose another port: --port, or PARLOUR_PORT."
            )
        case errno.EACCES:
            sentence = f"Port {port} needs more rights than this user has. Choose one above 1023: --port."
        case _:
            sentence = (
                f"Cannot listen on {host} ({error.strerror}). Choose an address of this machine: --host, or "
                "PARLOUR_HOST; 127.0.0.1 always works."
            )
    raise Unavailable(sentence) from error


class _Start:
    """The application as uvicorn sees it, remembering why it would not start.

    Uvicorn would print the reason as a stack; an operator gets one line.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._failure: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_quietly(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                message = {"type": message["type"], "message": ""}
            await send(message)

        try:
            await self._app(scope, receive, send_quietly)
        except BaseException as error:
            self._failure = error
            raise

    def explain(self) -> Never:
        """Raise what an operator can read, and leave what only a developer can to the log."""
        if isinstance(self._failure, ParlourError):
            raise self._failure
        if self._failure is not None:
            log.error("start failed", exc_info=self._failure)
        raise Unavailable("Parlour could not start. The log above says why.")


class _Server(uvicorn.Server):
    """Tells the application about a stop signal before it waits for anything, and ends with status 0."""

    def __init__(self, config: uvicorn.Config, *, app: FastAPI, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        spare_what_stays()
        if self.started:
            self._tell()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle stop signals on the event loop, where the application may be told."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; a second Ctrl+C does not wait."""
        first = not self.should_exit
        super().handle_exit(sig, frame)
        if first:
            self._app.state.parlour.begin_drain()


def _with_port(settings: Settings, port: int) -> Settings:
    """Return the settings with the port that was taken: 0 stands for any free one."""
    return settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})


def _tell_address(settings: Settings) -> None:
    typer.echo(f"Parlour {__version__} is ready: {settings.server.address}\nPress Ctrl+C to stop.")


def _tell_link(link: str) -> None:
    # To the console only, never to the log: whoever reads it becomes the owner.
    typer.echo(f"Sign in as its owner, once and within 24 hours:\n  {link}")
