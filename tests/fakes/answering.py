"""One answer of the fake provider: what its script says, written by its wire."""

import asyncio
import math

from tests.fakes.answers import answer_pieces, bytewise, remaining
from tests.fakes.connection import Connection
from tests.fakes.script import Call, Script
from tests.fakes.service import Asked, Request, Service


class Answering:
    """One answer to one request. Positions in the script count pieces of the whole answer."""

    def __init__(
        self, service: Service, connection: Connection, request: Request, asked: Asked, script: Script
    ) -> None:
        """Decide what will be said."""
        self._service = service
        self._connection = connection
        self._request = request
        self._asked = asked
        self._script = script
        self._wire = service.wire(script, asked)
        self._calls: tuple[Call, ...] = script.calls if asked.rounds < script.rounds else ()
        if self._calls:
            pieces = [script.preface] if script.preface else []
        else:
            pieces = answer_pieces(asked.question, script, asked.messages)
        self._start, self._pieces = remaining(pieces, asked.partial)

    async def give(self) -> None:
        """Answer, or do what the script says instead."""
        if await misbehaved(self._service, self._connection, self._request, self._script):
            return
        if self._script.whole or not self._asked.stream:
            text = "".join(self._pieces[self._start :])
            self._request.sent = len(self._pieces) - self._start
            self._connection.send_json(200, self._wire.whole(text, self._calls))
        else:
            await self._stream()

    async def _stream(self) -> None:
        script, connection = self._script, self._connection
        connection.begin_stream(self._service.content_type)
        if script.ttft:
            await connection.wait(script.ttft)
        await self._write(self._wire.opening())
        for number in range(script.thoughts):
            await self._write(self._wire.thought(f"thought-{number} "))
            await connection.wait(script.dt)
        begun = asyncio.get_running_loop().time()
        for index in range(self._start, len(self._pieces)):
            if await self._ends_at(index):
                return
            if script.dt:
                # By the clock and not by the last write, so that a busy machine does not slow the stream.
                await connection.wait(
                    begun + (index - self._start + 1) * script.dt - asyncio.get_running_loop().time()
                )
        if await self._ends_at(len(self._pieces)):
            return
        if self._calls:
            for part in self._wire.calls(self._calls):
                await self._write(part)
        await self._write(self._wire.ending(self._request.sent))
        await self._end()

    async def _end(self) -> None:
        connection = self._connection
        match self._script.after:
            case "stall":
                await connection.wait(math.inf)
            case "rst":
                connection.reset()
            case "eof":
                connection.close()
            case "late":
                await connection.wait(0.05)
                connection.end_stream()
            case _:
                connection.end_stream()

    async def _ends_at(self, index: int) -> bool:
        """Write piece ``index``, or what the script puts in its place; tell whether that was the end."""
        script, connection = self._script, self._connection
        piece = self._pieces[index] if index < len(self._pieces) else ""
        met = index == script.at and (index > self._start or self._start == 0)
        if met and script.event == "error":
            await self._write(self._wire.error(503))
            connection.end_stream()
            return True
        match script.fault if met else "":
            case "eof":
                # Half of the next event, cut inside a character.
                await self._write(self._wire.piece("cut \N{GRINNING FACE}").partition(b"\x98")[0])
                self._request.end("fault")
                connection.close()
                return True
            case "rst":
                self._request.end("fault")
                connection.reset()
                return True
            case "stall":
                await connection.wait(script.pause)
            case "badjson" | "badutf8":
                await self._write(self._wire.spoiled(piece, script.fault))
                return False
            case _:
                pass
        if piece:
            self._request.sent += 1
            await self._write(self._wire.piece(piece))
        return False

    async def _write(self, data: bytes) -> None:
        if self._script.split:
            for byte in bytewise(data):
                await self._connection.write(byte)
                await asyncio.sleep(0)
        else:
            await self._connection.write(data)


async def misbehaved(service: Service, connection: Connection, request: Request, script: Script) -> bool:
    """Do what the script says instead of an answer; tell whether that was all."""
    if script.hold:
        await connection.wait(script.hold)
    refused = (script.param and script.param in request.body) or (
        script.needs and script.needs not in request.body
    )
    if script.cut:
        request.end("fault")
        connection.reset()
    elif script.status != 200 or refused:
        headers = {"Retry-After": script.ra} if script.ra else {}
        status = 400 if refused else script.status
        connection.send_json(status, service.error(script, status), headers)
    elif script.moved:
        connection.send_json(307, {}, {"Location": script.moved})
    elif script.html:
        connection.send(200, "text/html", b"<!doctype html><title>Welcome</title><p>It works!\n\n</p>")
    else:
        return False
    return True
