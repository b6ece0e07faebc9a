"""Headers of every response, hosts that are answered for, and addresses with tricks in them."""

import httpx2
import pytest

from parlour.entrypoints.http.middleware import CONTENT_POLICY
from tests.http.conftest import Build, connect

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/", "/livez", "/api/docs", "/nothing", "/api/test/raise/crash"])
async def test_every_response_is_safe_to_look_at(client: httpx2.AsyncClient, path: str) -> None:
    """S-4, A-086."""
    headers = (await client.get(path)).headers
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "microphone=(self)" in headers["permissions-policy"]
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://chat.test"])
async def test_no_other_origin_is_let_in(client: httpx2.AsyncClient, origin: str) -> None:
    """A-028, D6."""
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for response in (
        await client.options("/api/test/echo", headers=preflight),
        await client.get("/livez", headers={"Origin": origin}),
    ):
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("chat.example.org", 200),
        ("CHAT.example.org:443", 200),
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("chat.example.org.evil.example", 400),
        ("evilchat.example.org", 400),
        ("chat.example.org@evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("[", 400),
        ("", 400),
    ],
)
async def test_with_a_public_url_other_hosts_are_refused(build: Build, host: str, status: int) -> None:
    """D10, A-021."""
    async with connect(build(public_url="https://chat.example.org")) as client:
        response = await client.get("/api/test/items/1", headers={"Host": host})
        assert response.status_code == status
        assert status == 200 or response.json()["code"] == "unknown_host"
        assert (await client.get("/livez", headers={"Host": host})).status_code == 200


async def test_forwarded_hosts_change_nothing(build: Build) -> None:
    async with connect(build(public_url="https://chat.example.org")) as client:
        headers = {"Host": "evil.example", "X-Forwarded-Host": "chat.example.org"}
        assert (await client.get("/api/test/items/1", headers=headers)).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "//metrics",
        "/./metrics",
        "/metrics/",
        "/metrics%2f",
        "/METRICS",
        "/x/..%2fmetrics",
        "/x/%2e%2e/metrics",
        "/metrics;a=b",
        "/metrics%00",
        "/metrics.",
        "/assets/..%2f..%2fmetrics",
        "/api/docs/",
        "/api//docs",
        "/.env",
        "/.git/config",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/debug",
    ],
)
async def test_tricks_in_the_address_open_nothing(build: Build, path: str) -> None:
    """A-032, A-034."""
    async with connect(build(production=True)) as client:
        request = client.build_request("GET", "http://chat.test/")
        request.url = request.url.copy_with(raw_path=path.encode())
        response = await client.send(request)
        assert response.status_code in (401, 404)
        assert "location" not in response.headers


@pytest.mark.parametrize("path", ["/metrics", "/api/docs", "/api/openapi.json", "/api/docs/style.css"])
async def test_in_production_strangers_see_no_inside(
    build: Build, operator: dict[str, str], path: str
) -> None:
    """A-034"""
    async with connect(build(production=True)) as client:
        assert (await client.get(path)).status_code == 401
        assert (await client.head(path)).status_code in (401, 405)
        assert (await client.get(path, headers=operator)).status_code == 200
    async with connect(build()) as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "query", ["bypass_filter=true", "internal=1", "debug=1", "admin=1", "skip_auth=1", "user_id=A"]
)
async def test_magic_words_in_the_query_open_nothing(build: Build, query: str) -> None:
    """A-030."""
    async with connect(build(production=True)) as client:
        assert (await client.get(f"/metrics?{query}")).status_code == 401
