"""Serves the built page: hashed assets for ever, everything else checked anew, compressed where built so."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from parlour.features.people.guards import PUBLIC
from parlour.vocabulary.errors import NotFound

INDEX: Final = "index.html"
ASSETS: Final = "assets"
FOR_EVER: Final = "public, max-age=31536000, immutable"
CHECK_ANEW: Final = "no-cache"
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Parlour</title></head>
<body>
<h1>Parlour runs, but its page has not been built.</h1>
<p>In a clone of the project, run <code>make setup</code>, which builds it (Node.js 20.19 or newer helps,
but is not needed), then load this page again. The API works meanwhile: see
<a href="/api/docs">/api/docs</a>.</p>
</body>
</html>
"""


def routes(static: Path) -> APIRouter:
    """Return the routes of the page that was built into ``static``."""
    router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])

    async def index(request: Request) -> Response:
        """Give the chat app, whichever conversation its address names."""
        if not (static / INDEX).is_file():
            return HTMLResponse(_NOT_BUILT, status_code=503, headers={"Cache-Control": "no-store"})
        return _file(request, static / INDEX, CHECK_ANEW)

    for path in ("/", "/c/{anything:path}"):
        router.add_api_route(path, index, methods=["GET", "HEAD"])

    @router.api_route(f"/{ASSETS}/{{path:path}}", methods=["GET", "HEAD"])
    async def asset(request: Request, path: str) -> Response:
        """Give one hashed file. Its name changes with its content, so it may be kept for ever."""
        return _file(request, _inside(static / ASSETS, path), FOR_EVER)

    async def file(request: Request) -> Response:
        """Give a file from beside the index, such as an icon."""
        return _file(request, static / request.url.path.lstrip("/"), CHECK_ANEW)

    for name in _names_beside_index(static):
        router.add_api_route(f"/{name}", file, methods=["GET", "HEAD"])
    return router


def _names_beside_index(static: Path) -> Iterator[str]:
    if static.is_dir():
        for path in sorted(static.iterdir()):
            if path.is_file() and path.suffix in _TYPES and path.name != INDEX and path.name[0] != ".":
                yield path.name


def _inside(folder: Path, path: str) -> Path:
    """Return the file at ``path`` in ``folder``, or raise NotFound: also for whatever leads out of it."""
    steps = PurePosixPath(path).parts
    if not steps or any(step.startswith((".", "/")) or "\\" in step or "\0" in step for step in steps):
        raise NotFound
    try:
        file = folder.joinpath(*steps).resolve()
        inside = file.is_relative_to(folder.resolve()) and file.is_file()
    except OSError:  # a name that no file system takes
        inside = False
    if not inside or file.suffix not in _TYPES:
        raise NotFound
    return file


def _file(request: Request, file: Path, keep: str) -> Response:
    headers = {"Cache-Control": keep, "Vary": "Accept-Encoding"}
    chosen = file
    for encoding, suffix in _ENCODINGS:
        packed = file.with_name(file.name + suffix)
        if _accepts(request, encoding) and packed.is_file():
            headers["Content-Encoding"] = encoding
            chosen = packed
            break
    response = FileResponse(
        chosen, media_type=_TYPES[file.suffix], headers=headers, stat_result=chosen.stat()
    )
    if request.headers.get("if-none-match") == response.headers["etag"]:
        kept = {name: response.headers[name] for name in ("etag", "cache-control", "vary")}
        return Response(status_code=304, headers=kept)
    return response


def _accepts(request: Request, encoding: str) -> bool:
    for offer in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = offer.partition(";")
        if name.strip().lower() == encoding:
            return weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
