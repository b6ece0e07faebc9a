"""Every route of the real application states who may call it, and strangers get in nowhere else (S-2)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from parlour.app import create_app
from parlour.features.people.api_keys import NewKey
from parlour.features.people.guards import KeyUse, Need, needs_of
from parlour.settings import Settings
from parlour.settings.model import ServerSettings
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role, Scope
from tests.http.conftest import Build, connect

pytestmark = pytest.mark.anyio

# What anybody may call without a token. A route that is not here must refuse strangers.
OPEN = {
    "POST /api/visitors",
    "POST /api/sign-in",
    "GET /api/assistants",
    "GET /api/models",
    "GET /livez",
    "GET /readyz",
    "GET /health",
    "GET /",
    "GET /c/{anything:path}",
    "GET /assets/{path:path}",
}


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return create_app(Settings(data_dir=tmp_path / "data"), lambda _link: None)


def routes(app: FastAPI) -> Iterator[tuple[str, str, list[Callable[..., Any] | None]]]:
    for context in iter_route_contexts(app.routes):
        for method in sorted(context.methods or ()):
            yield method, str(context.path), list(called(context.dependant))


def called(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from called(inner)


def test_every_route_needs_of_it(app: FastAPI) -> None:
    found = list(routes(app))
    assert len(found) > 20
    assert not [f"{method} {path}" for method, path, calls in found if not needs_of(calls)]


def test_a_route_without_a_guard_is_noticed(build: Build) -> None:
    app = build()

    @app.get("/careless")
    async def careless() -> None: ...

    missing = [path for _, path, calls in routes(app) if not needs_of(calls)]
    assert missing == ["/careless"]


async def test_strangers_get_in_where_they_are_meant_to_and_nowhere_else(tmp_path: Path) -> None:
    """A-040, P-32: each route in production without a token, and with one that does not hold."""
    settings = Settings(
        data_dir=tmp_path / "data",
        environment="production",
        server=ServerSettings(public_url="http://chat.test"),
    )
    app = create_app(settings, lambda _link: None)
    open_to_all = set()
    async with connect(app) as client:
        for method, path, _ in routes(app):
            status = await status_for_a_stranger(client, method, path)
            assert status < 500 or path in ("/", "/readyz", "/health", "/c/{anything:path}"), (method, path)
            if status not in (401, 403, 405) and method != "HEAD":
                open_to_all.add(f"{method} {path}")
    static_files = {name for name in open_to_all if name.count("/") == 1 and "." in name}
    assert open_to_all - static_files == OPEN


def test_every_route_states_one_thing_that_a_key_needs(app: FastAPI) -> None:
    """S-1: a scope, nothing, or that no key will do"""
    needs = {f"{method} {path}": set(needs_of(calls)) for method, path, calls in routes(app)}
    assert not [route for route, need in needs.items() if len(need) != 1]


async def test_a_key_opens_what_its_scopes_name_and_nothing_else(tmp_path: Path) -> None:
    """A-012, A-069: every route, by a key of each scope, of somebody who may do everything"""
    settings = Settings(
        data_dir=tmp_path / "data",
        environment="production",
        server=ServerSettings(public_url="http://chat.test"),
    )
    app = create_app(settings, lambda _link: None)
    async with app.router.lifespan_context(app), connect(app) as client:
        owner = Principal(new_id(), Role.OWNER)
        for scope in Scope:
            made = await app.state.parlour.people.api_keys.make(owner, NewKey("x", frozenset({scope})))
            headers = {"Authorization": f"Bearer {made.text}"}
            for method, path, calls in routes(app):
                (need,) = set(needs_of(calls))
                response = await client.request(method, filled(path), headers=headers, json={"name": "x"})
                refused = response.status_code == 403
                assert refused == is_closed(need, scope), (method, path, scope, response.status_code)


def is_closed(need: Need, scope: Scope) -> bool:
    """Whether a key with this one scope must be refused."""
    return need is KeyUse.NONE or (isinstance(need, Scope) and need is not scope)


BODIES: list[tuple[bytes, str]] = [
    (b"", ""),
    (b"", "application/json"),
    (b"{}", "application/json"),
    (b"[]", "application/json"),
    (b"null", "application/json"),
    (b"{", "application/json"),
    (b'{"message": "x"}', "text/plain"),
    (b"a=b", "application/x-www-form-urlencoded"),
    (b"\xff" * 100, "multipart/form-data; boundary=x"),
]


async def test_no_body_breaks_any_route(app: FastAPI) -> None:
    """A-057: every route, as a visitor, with bodies that it does not expect."""
    async with app.router.lifespan_context(app), connect(app) as client:
        token = (await client.post("/api/visitors")).json()["token"]
        for method, path, _ in routes(app):
            for content, kind in BODIES:
                headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": kind} if kind else {})
                response = await client.request(
                    method, filled(path), content=content, headers=headers, timeout=10
                )
                told = (method, path, content, response.status_code, response.text[:200])
                assert response.status_code < 500 or not path.startswith("/api"), told


async def status_for_a_stranger(client: httpx2.AsyncClient, method: str, path: str) -> int:
    body = {"message": "hello", "title": "x", "rating": "up", "token": "x"} if method != "GET" else None
    return (await client.request(method, filled(path), json=body)).status_code


def filled(path: str) -> str:
    """A route's address with an id that names nothing in every gap."""
    some_id = "0192f0c1-0000-7000-8000-000000000000"
    return "/".join(some_id if step.startswith("{") else step for step in path.split("/"))
