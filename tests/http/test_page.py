"""The page: what is built is served, what is not is explained, and nothing else gets out."""

from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from tests.http.conftest import Build, connect

pytestmark = pytest.mark.anyio

SCRIPT = "console.log('hello')"


@pytest.fixture
def built(build: Build, tmp_path: Path) -> FastAPI:
    static = tmp_path / "static"
    (static / "assets" / "deep").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>Parlour</title>")
    (static / "favicon.svg").write_text("<svg/>")
    (static / ".build.json").write_text("{}")
    (static / "assets" / "app-1a2b.js").write_text(SCRIPT)
    (static / "assets" / "app-1a2b.js.br").write_bytes(b"brotli")
    (static / "assets" / "app-1a2b.js.gz").write_bytes(b"gzip")
    (static / "assets" / "deep" / "style.css").write_text("body{}")
    (static / "assets" / ".hidden.js").write_text("secret")
    (static / "assets" / "notes.exe").write_text("secret")
    (tmp_path / "outside.js").write_text("secret")
    (static / "assets" / "link.js").symlink_to(tmp_path / "outside.js")
    return build(static=static)


@pytest.mark.parametrize("path", ["/", "/c/0192f0c1-0000-7000-8000-000000000000", "/c/x/y"])
async def test_every_address_of_the_app_gives_the_page(built: FastAPI, path: str) -> None:
    async with connect(built) as client:
        response = await client.get(path)
        assert response.status_code == 200
        assert "<title>Parlour" in response.text
        assert response.headers["cache-control"] == "no-cache"
        assert (await client.head(path)).status_code == 200


@pytest.mark.parametrize(
    ("accepts", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("abr", None),
    ],
)
async def test_assets_are_kept_for_ever_and_come_compressed(
    built: FastAPI, accepts: str, encoding: str | None
) -> None:
    async with connect(built) as client:
        request = client.build_request("GET", "/assets/app-1a2b.js", headers={"Accept-Encoding": accepts})
        response = await client.send(request, stream=True)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers.get("content-encoding") == encoding
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers["content-type"] == "text/javascript; charset=utf-8"
        await response.aclose()


async def test_what_has_not_changed_is_not_sent_again(built: FastAPI) -> None:
    async with connect(built) as client:
        first = await client.get("/")
        second = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")


async def test_files_beside_the_page_are_served(built: FastAPI) -> None:
    async with connect(built) as client:
        response = await client.get("/favicon.svg")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/svg+xml")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets",
        "/assets/deep",
        "/assets/nothing.js",
        "/assets/../index.html",
        "/assets/..%2findex.html",
        "/assets/%2e%2e/%2e%2e/outside.js",
        "/assets/..%5c..%5coutside.js",
        "/assets/%2fetc%2fpasswd",
        "/assets//etc/passwd",
        "/assets/app-1a2b.js%00.css",
        "/assets/.hidden.js",
        "/assets/notes.exe",
        "/assets/link.js",
        "/.build.json",
        "/index.html.br",
        "/" + "a" * 5000 + ".js",
        "/assets/" + "a" * 5000 + ".js",
    ],
)
async def test_nothing_else_gets_out(built: FastAPI, path: str) -> None:
    """A-032."""
    async with connect(built) as client:
        request = client.build_request("GET", "http://chat.test/")
        request.url = request.url.copy_with(raw_path=path.encode())
        response = await client.send(request)
    assert response.status_code == 404
    assert "secret" not in response.text


async def test_without_a_build_the_page_says_how_to_make_one(client: httpx2.AsyncClient) -> None:
    response = await client.get("/")
    assert response.status_code == 503
    assert response.headers["content-type"].startswith("text/html")
    assert "make setup" in response.text


class Outside(HTMLParser):
    """Finds what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style") or any(name in ("style", "onload") for name, _ in attrs):
            self.inline.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]


async def test_the_reference_needs_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    """O-8, S-4: it must show under its own content policy."""
    page = await client.get("/api/docs")
    found = Outside()
    found.feed(page.text)
    assert not found.inline
    assert {load for load in found.loads if not load.startswith("/api/")} == set()
    assert "/api/test/echo" in page.text
    assert "textValue" in page.text
    style = await client.get("/api/docs/style.css")
    assert style.headers["content-type"].startswith("text/css")


async def test_the_openapi_document_describes_problems(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/api/openapi.json")).json()
    responses = document["paths"]["/api/test/echo"]["post"]["responses"]
    assert responses["4XX"]["content"]["application/problem+json"]
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
