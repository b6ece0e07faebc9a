"""A moderation server that speaks OpenAI's ``POST /v1/moderations`` over real HTTP and misbehaves on command.

A text falls into the category that it names: "hate", "violence", and so on. What goes wrong is told by
:attr:`FakeModeration.fault`.
"""

import asyncio
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
    "self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors",
    "violence", "violence/graphic",
)  # fmt: skip

Fault = Literal["", "status", "stall", "garbled", "short", "cut", "null"]


class FakeModeration:
    """The server."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.fault: Fault = ""
        self.status = 503
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.arrived = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_post("/v1/moderations", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def texts(self) -> list[str]:
        """Every text that was sent here."""
        return [text for request in self.requests for text in _inputs(request)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("Authorization", ""))
        self.arrived.set()
        await self.may_answer.wait()
        results = [_result(text) for text in _inputs(body)]
        match self.fault:
            case "status":
                error = {"message": "Not now.", "type": "server_error", "param": None, "code": None}
                return web.json_response({"error": error}, status=self.status)
            case "stall":
                await asyncio.Event().wait()
            case "garbled":
                return web.Response(text="<html>It works!</html>", content_type="text/html")
            case "short":
                results = results[:-1]
            case "null":
                return web.json_response({"id": "modr-1", "model": "m", "results": [None] * len(results)})
            case "cut":
                return await _cut(request)
        return web.json_response({"id": "modr-1", "model": "omni-moderation-latest", "results": results})


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id":')
    assert request.transport is not None
    request.transport.close()
    return response


def _inputs(body: dict[str, Any]) -> list[str]:
    given = body["input"]
    return [given] if isinstance(given, str) else list(given)


def _result(text: str) -> dict[str, Any]:
    met = {name: name in text for name in CATEGORIES}
    return {
        "flagged": any(met.values()),
        "categories": met,
        "category_scores": {name: 0.98 if met[name] else 1e-06 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
