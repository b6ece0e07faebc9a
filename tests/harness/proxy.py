"""A TCP relay that stands before a database or a provider, and fails on command."""

import asyncio
import struct
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Self

from tests.harness.process import free_port

# Close with a reset: what a peer sees of a host that is gone.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Relays to ``host:port`` while it is up."""

    def __init__(self, host: str, port: int) -> None:
        """Choose a port; nothing is opened yet."""
        self.port = free_port()
        self._upstream = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        """Enter without being up."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go down."""
        await self.down()

    async def up(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def down(self) -> None:
        """Reset every connection and refuse new ones, as a host does whose database was killed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        self.unmute()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        for writer in list(self._writers):
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
            writer.transport.abort()

    def mute(self) -> None:
        """Carry nothing any more and say nothing about it, as a network does that drops packets."""
        self._flowing.clear()

    def unmute(self) -> None:
        """Carry on, with what was held back first."""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        for source, target in ((reader, onward[1]), (onward[0], writer)):
            relay = asyncio.create_task(self._relay(source, target))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        self._writers.add(target)
        try:
            with suppress(OSError):
                while data := await source.read(65536):
                    await self._flowing.wait()
                    target.write(data)
                    await target.drain()
        finally:
            self._writers.discard(target)
            target.close()
            with suppress(OSError):
                await target.wait_closed()
