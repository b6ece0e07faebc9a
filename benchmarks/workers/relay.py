"""The bare relay that Parlour is measured against: it passes tokens on, and keeps, checks and logs nothing.

python -m benchmarks.workers.relay PORT UPSTREAM_URL
"""

import contextlib
import sys
from collections.abc import AsyncIterator

import aiohttp
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


def application(upstream: str) -> Starlette:
    """Return a relay to ``upstream``."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as app.state.session:
            yield

    async def chat(request: Request) -> Response:
        message = orjson.loads(await request.body())["message"]
        body = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": message}]}

        async def relay() -> AsyncIterator[bytes]:
            url = f"{upstream}/chat/completions"
            async with request.app.state.session.post(url, data=orjson.dumps(body)) as response:
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        choices = orjson.loads(line[6:])["choices"]
                        if choices and (content := choices[0]["delta"].get("content")):
                            yield b"data: %b\n\n" % orjson.dumps({"content": content})
            yield b"data: [DONE]\n\n"

        return StreamingResponse(relay(), media_type="text/event-stream")

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok")

    routes = [Route("/chat", chat, methods=["POST"]), Route("/livez", alive)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    app = application(sys.argv[2])
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
