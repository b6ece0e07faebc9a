"""The API's own description: the OpenAPI document, and a page made from it that needs nothing from elsewhere.

In production both are for operators only.
"""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse

from parlour.entrypoints.http.problems import MEDIA_TYPE
from parlour.features.people.guards import PUBLIC, operator

_METHODS: Final = ("get", "post", "put", "patch", "delete")

# The values are those of the design's tokens.
_STYLE: Final = """
:root { color-scheme: light dark; --paper: #FCFBF8; --raised: #FFFFFF; --sunken: #F3F0E8; --line: #E5DFD3;
  --ink: #24211C; --ink-2: #575147; --accent: #1C6350; --accent-soft: #E2EEE8; }
@media (prefers-color-scheme: dark) { :root { --paper: #1B1916; --raised: #24211D; --sunken: #131110;
  --line: #35312A; --ink: #EEE9DF; --ink-2: #BDB5A7; --accent: #84C9AE; --accent-soft: #20342C; } }
body { margin: 0 auto; max-width: 832px; padding: 48px 24px 96px; background: var(--paper); color: var(--ink);
  font: 1rem/1.625rem "Inter Variable", Inter, ui-sans-serif, system-ui, sans-serif; }
h1 { font: 400 1.75rem/2.125rem "Newsreader Variable", ui-serif, Georgia, serif; margin: 0 0 8px; }
h2 { font-size: 1.125rem; line-height: 1.75rem; font-weight: 600; margin: 40px 0 12px; }
a { color: var(--accent); }
article { background: var(--raised); border: 1px solid var(--line); border-radius: 14px; padding: 16px 20px;
  margin: 0 0 16px; }
article h3 { font: 500 0.875rem/1.25rem ui-monospace, "SF Mono", Menlo, Consolas, monospace; margin: 0;
  overflow-wrap: anywhere; }
.method { color: var(--accent); background: var(--accent-soft); border-radius: 6px; padding: 2px 8px;
  margin-inline-end: 8px; text-transform: uppercase; }
p { margin: 8px 0; } .quiet { color: var(--ink-2); font-size: 0.875rem; line-height: 1.25rem; }
table { width: 100%; border-collapse: collapse; font-size: 0.8125rem; line-height: 1.25rem; margin-top: 8px; }
th, td { text-align: start; vertical-align: top; padding: 4px 8px 4px 0; border-top: 1px solid var(--line); }
code { font: 0.8125rem/1.25rem ui-monospace, Menlo, Consolas, monospace; background: var(--sunken);
  border-radius: 6px; padding: 1px 5px; overflow-wrap: anywhere; }
"""

PROBLEM_SCHEMA: Final[Mapping[str, Any]] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457). `code` is stable; `detail` is a sentence for people.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "retryable", "requestId", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "retryable": {"type": "boolean", "description": "Whether trying again can help."},
        "requestId": {"type": "string"},
        "runId": {"type": "string", "description": "The run that failed, where there was one."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "code"],
                "properties": {name: {"type": "string"} for name in ("field", "message", "code")},
            },
        },
    },
}
PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": words,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, words in (
        ("4XX", "The request cannot be served as it is."),
        ("5XX", "The server cannot serve it."),
    )
}


def routes(*, production: bool) -> APIRouter:
    """Return the routes of the reference."""
    router = APIRouter(
        prefix="/api", include_in_schema=False, dependencies=[Depends(operator) if production else PUBLIC]
    )

    @router.get("/openapi.json")
    async def read_openapi(request: Request) -> Response:
        """Give the OpenAPI document."""
        return JSONResponse(describe(request))

    @router.get("/docs")
    async def read_docs(request: Request) -> Response:
        """Give the reference as a page."""
        return HTMLResponse(_page(describe(request)))

    @router.get("/docs/style.css")
    async def read_style() -> Response:
        """Give the page's style: the content policy allows none inside the page."""
        return Response(_STYLE, media_type="text/css")

    return router


def describe(request: Request) -> dict[str, Any]:
    """Return the application's OpenAPI document, made once."""
    app = request.app
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
        app.openapi_schema = document
    schema: dict[str, Any] = app.openapi_schema
    return schema


def _page(document: Mapping[str, Any]) -> str:
    info = document["info"]
    parts = "".join(_operations(document))
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title>"
        '<link rel="stylesheet" href="/api/docs/style.css"></head>\n<body>\n'
        f"<h1>{escape(info['title'])} API</h1>"
        f'<p class="quiet">Version {escape(info["version"])} · '
        '<a href="/api/openapi.json">OpenAPI document</a></p>'
        f"<p>{escape(info.get('description', ''))}</p>{parts}\n</body>\n</html>\n"
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in (name for name in _METHODS if name in operations):
            operation = operations[method]
            tag = (operation.get("tags") or ["other"])[0]
            by_tag.setdefault(tag, []).append(_operation(document, method, path, operation))
    for tag, articles in by_tag.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>{''.join(articles)}"


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (parameter["name"], parameter["in"], parameter.get("schema", {}), parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    rows += _body_rows(document, operation)
    table = "".join(
        f"<tr><th scope='row'><code>{escape(name)}</code></th><td>{escape(place)}</td>"
        f"<td>{escape(_kind(schema))}</td><td>{escape(meaning)}</td></tr>"
        for name, place, schema, meaning in rows
    )
    answers = ", ".join(status for status in operation.get("responses", {}) if status[0] == "2")
    words = "".join(f"<p>{escape(part)}</p>" for part in operation.get("description", "").split("\n\n"))
    return (
        f'<article><h3><span class="method">{method}</span>{escape(path)}</h3>{words}'
        f"{f'<table>{table}</table>' if table else ''}"
        f'<p class="quiet">Answers {escape(answers)}</p></article>'
    )


def _body_rows(
    document: Mapping[str, Any], operation: Mapping[str, Any]
) -> list[tuple[str, str, Mapping[str, Any], str]]:
    content = operation.get("requestBody", {}).get("content", {})
    schema = _resolved(document, content.get("application/json", {}).get("schema", {}))
    needed = schema.get("required", ())
    return [
        (name, "body, needed" if name in needed else "body", field, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(str(value) for value in schema["enum"])
    return str(schema.get("type", "any"))
