"""What happens to every request before and after its route: a name, headers, a host check, a bounded body.

Pure ASGI: a class per concern, no tasks of its own, nothing per streamed chunk but one comparison.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parlour.entrypoints.http.problems import REQUEST_ID_KEY, SlowRequest, UnknownHost, problem
from parlour.entrypoints.http.strict_json import check_json
from parlour.features.people.guards import HEADERS_KEY, PERSON_KEY
from parlour.infra.observability.metrics import Metrics
from parlour.vocabulary.errors import ParlourError, TooLarge
from parlour.vocabulary.ids import new_id

log = structlog.get_logger("parlour.access")

BODY_SECONDS: Final = 30.0
CLIENT_LEFT: Final = 499  # nobody was there to be answered; the number is nginx's
PROBES: Final = frozenset({"/livez", "/readyz", "/health", "/metrics"})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
_SECURITY_HEADERS: Final = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    # Not `no-referrer`: a page's own requests prove their origin by it where browsers send nothing better.
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self), payment=(), usb=()"),
)


class RequestContext:
    """The outermost layer: request id, headers of every response, one log line, figures, the last net."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        """Wrap ``app``; figures go to ``metrics``."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            try:
                await self._app(scope, receive, exchange.send)
            except ParlourError as error:
                self._metrics.error(error.code)
                await problem(error, scope)(scope, receive, exchange.send)
            except Exception:  # the last net: the reader gets a document, the log the cause
                log.exception("request crashed", method=scope["method"], route=_route(scope))
                self._metrics.error(ParlourError.code)
                if exchange.status:
                    # Half a response is out. Breaking the connection is the only way to say so.
                    raise
                await problem(ParlourError(), scope)(scope, receive, exchange.send)
            finally:
                self._record(scope, exchange)

    def _record(self, scope: Scope, exchange: "_Exchange") -> None:
        method, route, status = scope["method"], _route(scope), exchange.status or CLIENT_LEFT
        now = time.perf_counter()
        began = exchange.began or now
        self._metrics.request(
            method=method if method in _METHODS else "other",
            route=route,
            status=status,
            seconds=began - exchange.arrived,
        )
        tell = log.debug if scope["path"] in PROBES else log.info
        tell(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round((now - exchange.arrived) * 1000, 1),
            person_id=scope.get(PERSON_KEY),
        )


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Exchange:
    """One request and the beginning of its response."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.arrived = time.perf_counter()
        self.began: float | None = None
        self.status: int | None = None
        self.request_id = _request_id(scope)
        scope[REQUEST_ID_KEY] = self.request_id
        self._scope = scope
        self._send = send

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers that every response has."""
        if message["type"] == "http.response.start":
            self.began = time.perf_counter()
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            headers.append((b"x-request-id", self.request_id.encode()))
            headers.extend(_SECURITY_HEADERS)
            headers.extend(self._scope.get(HEADERS_KEY, ()))
            if self._scope["path"].startswith(("/api", "/v1/")) and not any(
                name == b"cache-control" for name, _ in headers
            ):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return str(given[0].decode())
    return new_id()


def _route(scope: Scope) -> str:
    """Return the route's template: a path as sent may carry ids and whatever else people put there."""
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))


class HostCheck:
    """Refuses requests for other names than our own, where our own is known (D10).

    Loopback names stay: no page elsewhere can send them, and the operator's own checks do. Probes come by
    address, and their answers depend on no host.
    """

    def __init__(self, app: ASGIApp, *, public_url: str | None) -> None:
        """Allow the host of ``public_url``; all hosts when it is None."""
        self._app = app
        self._host = urlsplit(public_url).hostname if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or raise UnknownHost."""
        if scope["type"] == "http" and self._host and scope["path"] not in PROBES:
            values = [value for name, value in scope["headers"] if name == b"host"]
            if len(values) != 1 or _hostname(values[0]) not in {self._host, *LOOPBACK}:
                raise UnknownHost
        await self._app(scope, receive, send)


def _hostname(value: bytes) -> str | None:
    try:
        return urlsplit(f"//{value.decode('ascii')}").hostname
    except ValueError:
        return None


class BodyLimit:
    """Reads the whole body before the route sees any of it: bounded in size and time, JSON checked.

    Counting what arrives catches bodies that do not say their length (D3); reading at once means that a
    slow sender costs one buffer, and no dependency, transaction or provider call waits for them.
    """

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float = BODY_SECONDS) -> None:
        """Allow ``limit`` bytes, and ``seconds`` for them to arrive."""
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in one piece, or raise TooLarge, SlowRequest or InvalidJson."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length[:20]) > self._limit:
            raise TooLarge
        if length in (None, b"0") and b"transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(receive)
        except TimeoutError:
            raise SlowRequest from None
        if body is None:
            return  # the client left
        if body and b"json" in headers.get(b"content-type", b"").lower():
            check_json(body)
        await self._app(scope, _Replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._limit:
                raise TooLarge
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


class _Replay:
    """Gives a body that was read already, then whatever comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        message = {"type": "http.request", "body": self._body, "more_body": False}
        self._body = None
        return message
