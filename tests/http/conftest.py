"""A small application of the real layers, with routes that do what a test needs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.responses import StreamingResponse

from parlour.entrypoints.http.application import build_http
from parlour.features.people.guards import PUBLIC
from parlour.features.people.service import Entrance
from parlour.features.people.tokens import Tokens
from parlour.infra.observability.metrics import Metrics
from parlour.vocabulary.errors import Conflict, NotFound, ParlourError, RunFailed, StorageFull, Unavailable
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role

SECRET = b"own-signing-key-of-the-tests-0123456789abcdefgh"
Build = Callable[..., FastAPI]


class Doorkeeper:
    """Tokens alone, without a database behind them."""

    def __init__(self) -> None:
        self.tokens = Tokens(secret=SECRET)

    async def identify(self, token: str) -> Principal:
        return self.tokens.read(token)

    async def welcome_visitor(self, address: str) -> Entrance:  # noqa: ARG002
        visitor = Principal(new_id())
        return Entrance(visitor, self.tokens.issue(visitor))


class Echo(BaseModel):
    """What a route takes and gives back."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    text_value: str
    anything: Any = None


RAISED: dict[str, Exception] = {
    "not-found": NotFound(),
    "conflict": Conflict(),
    "unavailable": Unavailable(cause="the secret cause"),
    "in-a-while": Unavailable(retry_after=7.2),
    "full": StorageFull(),
    "run": RunFailed(code="provider_timeout", sentence="Too slow.", retryable=True, run_id="run-1"),
    "unknown": ParlourError(),
    "crash": RuntimeError("internal words with hunter2"),
}


def routes_for_tests() -> APIRouter:
    router = APIRouter(prefix="/api/test", dependencies=[PUBLIC])

    @router.post("/echo")
    async def echo(body: Echo) -> Echo:
        return body

    @router.get("/raise/{name}")
    async def raise_it(name: str) -> None:
        raise RAISED[name]

    @router.get("/items/{item_id}")
    async def item(item_id: int, limit: int = 10) -> dict[str, int]:
        return {"id": item_id, "limit": limit}

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.sleep(0)
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    return router


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    return Doorkeeper()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def build(doorkeeper: Doorkeeper, metrics: Metrics, tmp_path: Path) -> Build:
    """Make an application; named arguments go to :func:`build_http`."""

    def build(**options: Any) -> FastAPI:  # noqa: ANN401
        defaults: dict[str, Any] = {
            "doorkeeper": doorkeeper,
            "metrics": metrics,
            "static": tmp_path / "static",
        }
        return build_http(routers=[routes_for_tests()], **(defaults | options))

    return build


@pytest.fixture
async def client(build: Build) -> AsyncIterator[httpx2.AsyncClient]:
    async with connect(build()) as client:
        yield client


@pytest.fixture
def operator(doorkeeper: Doorkeeper) -> dict[str, str]:
    """Headers of an operator."""
    token = doorkeeper.tokens.issue(Principal(new_id(), Role.OPERATOR)).text
    return {"Authorization": f"Bearer {token}"}


def connect(app: FastAPI, base_url: str = "http://chat.test") -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=base_url)
