"""Every error is a problem document with a stable code and the request's id (P-41, P-43, RFC 9457)."""

import inspect
import json
from typing import Any

import httpx2
import pytest
import structlog

from parlour.entrypoints.http.problems import KINDS
from parlour.infra.observability.metrics import Metrics
from parlour.vocabulary import errors
from parlour.vocabulary.ids import is_id
from tests.http.conftest import Build, connect

pytestmark = pytest.mark.anyio

MEMBERS = {"type", "title", "status", "detail", "code", "retryable", "requestId", "errors"}


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("not-found", 404, {"code": "not_found", "retryable": False}),
        ("conflict", 409, {"code": "conflict", "retryable": False}),
        ("unavailable", 503, {"code": "unavailable", "retryable": True}),
        ("full", 507, {"code": "storage_full", "retryable": True}),
        ("run", 503, {"code": "provider_timeout", "retryable": True}),
        ("unknown", 500, {"code": "internal_error", "retryable": False}),
        ("crash", 500, {"code": "internal_error", "retryable": False}),
    ],
)
async def test_an_error_is_a_problem_document(
    client: httpx2.AsyncClient, name: str, status: int, expected: dict[str, Any]
) -> None:
    response = await client.get(f"/api/test/raise/{name}")
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) >= MEMBERS
    assert problem | expected == problem
    assert problem["requestId"] == response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"


async def test_a_failed_run_names_itself(client: httpx2.AsyncClient) -> None:
    problem = (await client.get("/api/test/raise/run")).json()
    assert (problem["runId"], problem["detail"]) == ("run-1", "Too slow.")


@pytest.mark.parametrize(
    ("name", "seconds"), [("unavailable", "2"), ("in-a-while", "8"), ("full", "30"), ("conflict", None)]
)
async def test_readers_are_told_when_to_come_back(
    client: httpx2.AsyncClient, name: str, seconds: str | None
) -> None:
    assert (await client.get(f"/api/test/raise/{name}")).headers.get("retry-after") == seconds


@pytest.mark.parametrize("name", ["crash", "unavailable"])
async def test_causes_are_for_the_log_only(client: httpx2.AsyncClient, name: str) -> None:
    """M-11."""
    with structlog.testing.capture_logs() as lines:
        response = await client.get(f"/api/test/raise/{name}")
    told = json.dumps(response.json()) + str(response.headers)
    assert "hunter2" not in told
    assert "secret cause" not in told
    assert "Traceback" not in told
    assert [line for line in lines if line["event"] in ("request crashed", "request failed")]


async def test_a_stream_that_crashes_is_cut_not_ended(client: httpx2.AsyncClient) -> None:
    """D-traps 2: half an answer must not look whole."""
    with pytest.raises(RuntimeError, match="in the middle"):
        await client.get("/api/test/stream")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "no_such_route"),
        ("GET", "/api/nothing", 404, "no_such_route"),
        ("DELETE", "/api/test/echo", 405, "method_not_allowed"),
        ("TRACE", "/livez", 405, "method_not_allowed"),
        ("PROPFIND", "/livez", 405, "method_not_allowed"),
        ("OPTIONS", "/api/test/echo", 405, "method_not_allowed"),
    ],
)
async def test_unknown_addresses_and_methods(
    client: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """A-033."""
    response = await client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert status != 405 or response.headers["allow"]


async def test_absent_things_look_alike(client: httpx2.AsyncClient) -> None:
    """S-2: documents differ in nothing but the request's own id."""
    first, second = [await client.get("/api/test/raise/not-found") for _ in range(2)]
    assert first.json() | {"requestId": ""} == second.json() | {"requestId": ""}
    assert set(first.headers) == set(second.headers)


@pytest.mark.parametrize("given", ["abc-1.2_3", "0192f0c1-0000-7000-8000-000000000000"])
async def test_a_sane_request_id_is_kept(client: httpx2.AsyncClient, given: str) -> None:
    """P-41."""
    assert (await client.get("/livez", headers={"X-Request-Id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "a\tb", "é".encode()])
async def test_any_other_request_id_is_replaced(client: httpx2.AsyncClient, given: Any) -> None:  # noqa: ANN401
    response = await client.get("/livez", headers={"X-Request-Id": given})
    assert is_id(response.headers["x-request-id"])


async def test_every_request_has_its_own_id(client: httpx2.AsyncClient) -> None:
    ids = {(await client.get("/livez")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


async def test_every_error_has_a_status() -> None:
    codes = {
        kind.code
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.ParlourError)
    }
    assert codes <= set(KINDS)


async def test_errors_are_counted_by_code(client: httpx2.AsyncClient, metrics: Metrics) -> None:
    for name in ("conflict", "crash", "run"):
        await client.get(f"/api/test/raise/{name}")
    figures = metrics.render().decode()
    for code in ("conflict", "internal_error", "provider_timeout"):
        assert f'parlour_errors_total{{code="{code}"}} 1.0' in figures


async def test_one_line_is_logged_for_a_request(build: Build) -> None:
    async with connect(build()) as client:
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            response = await client.get("/api/test/items/7?limit=3&secret=hunter2")
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["route"] == "/api/test/items/{item_id}"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["request_id"] == response.headers["x-request-id"]
    assert "hunter2" not in str(line)


async def test_requests_are_counted_by_template(client: httpx2.AsyncClient, metrics: Metrics) -> None:
    for number in range(3):
        await client.get(f"/api/test/items/{number}")
    await client.get("/nothing/here")
    figures = metrics.render().decode()
    requests = 'parlour_http_requests_total{method="GET",route="%s",status="%d"} %s'
    assert requests % ("/api/test/items/{item_id}", 200, "3.0") in figures
    assert requests % ("unmatched", 404, "1.0") in figures
