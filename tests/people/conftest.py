"""A real database with people in it, and an application with their routes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import APIRouter, FastAPI

from parlour.entrypoints.http.application import build_http
from parlour.features.people import routes as people_routes
from parlour.features.people.guards import CookieCaller, OperatorOnly
from parlour.features.people.service import People
from parlour.features.people.tokens import Tokens
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import Database
from parlour.infra.storage.opening import open_database

SECRET = b"own-signing-key-of-the-tests-0123456789abcdefgh"
FOREIGN = b"shared-with-another-system-0123456789abcdefghij"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def timestamp(self) -> float:
        return self.now.timestamp()

    def advance(self, time: timedelta) -> None:
        self.now += time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(secret=SECRET, foreign_secret=FOREIGN, clock=clock.timestamp)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Each of the two databases in turn."""
    database = open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def people(database: Database, tokens: Tokens, clock: Clock) -> AsyncIterator[People]:
    people = People(database, tokens, now=clock)
    yield people
    await people.api_keys.close()


def guarded_routes() -> APIRouter:
    """Two routes of the kinds that the room's own do not have."""
    router = APIRouter()

    @router.get("/api/operators-only")
    async def operators_only(caller: OperatorOnly) -> str:
        return caller.person_id

    @router.get("/api/alias")
    @router.post("/api/alias")
    async def alias(caller: CookieCaller) -> str:
        return caller.person_id

    return router


@pytest.fixture
def app(people: People) -> FastAPI:
    return build_http(
        routers=[people_routes.routes(people), guarded_routes()], doorkeeper=people, metrics=Metrics()
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://chat.test") as client:
        yield client
