"""Connections with bounds: on how long a request head may take, and on how large it may be.

Uvicorn with httptools has neither: a peer that connects and says nothing, or sends one header a minute, would
hold a connection for ever, and a head of any size would be kept in memory (A-256, A-257).
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_SECONDS: Final = 30.0
LARGEST_HEAD: Final = 64 * 1024  # bytes of address and headers; tokens are at most 8 kB
MOST_HEADERS: Final = 128


class BoundedConnection(HttpToolsProtocol):
    """One connection. Answers 408 to a head that takes too long, 431 to one that is too large."""

    _deadline: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Count anew, and wait for this request's head."""
        super().on_message_begin()
        self._head_size = 0
        if self._deadline is None:
            self._expect_head()

    def on_url(self, url: bytes) -> None:
        """Count the address; it can come in pieces."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value))
        if len(self.headers) < MOST_HEADERS:
            super().on_header(name, value)
        else:
            self._count(LARGEST_HEAD)

    def on_headers_complete(self) -> None:
        """Serve the request, unless it was refused already."""
        self._cancel_deadline()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless the request was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the body, unless the request was refused."""
        if not self.transport.is_closing():
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the request was refused."""
        if self.transport.is_closing():
            return
        super().data_received(data)

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(431)

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and not self.transport.is_closing():
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        self._cancel_deadline()
        self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
