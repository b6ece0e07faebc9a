"""Bodies that are too large, too slow, or not what they say (D1, D2, D3, D15, A-054 to A-058)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.http.conftest import Build, connect

pytestmark = pytest.mark.anyio

ECHO = "/api/test/echo"
JSON = {"Content-Type": "application/json"}


async def post(client: httpx2.AsyncClient, body: bytes) -> httpx2.Response:
    return await client.post(ECHO, content=body, headers=JSON)


def code_and_fields(response: httpx2.Response) -> tuple[str, list[str]]:
    problem = response.json()
    return problem["code"], [error["field"] for error in problem["errors"]]


async def test_a_body_that_says_it_is_too_large_is_not_read(client: httpx2.AsyncClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    response = await client.post(ECHO, content=never(), headers=JSON | {"Content-Length": "40000000"})
    assert response.status_code == 413
    assert response.json()["code"] == "too_large"
    assert response.headers["connection"] == "close"


async def test_a_body_without_length_is_counted(client: httpx2.AsyncClient) -> None:
    """D3: 40 MB in chunks; no more than the limit is taken."""
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(640):
            sent += 65_536
            yield b" " * 65_536

    response = await client.post(ECHO, content=chunks(), headers=JSON)
    assert response.status_code == 413
    assert sent <= 2 * 1024 * 1024 or sent == 640 * 65_536  # the test's transport may send it all


async def test_a_body_at_the_limit_passes(build: Build) -> None:
    async with connect(build(body_limit=2000)) as client:
        body = json.dumps({"textValue": ""}).encode()
        for size, status in ((2000, 200), (2001, 413)):
            padded = body[:-2] + b"x" * (size - len(body)) + body[-2:]
            assert (await post(client, padded)).status_code == status


async def test_a_body_that_trickles_in_is_given_up(build: Build) -> None:
    """A-256."""

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" "
            await asyncio.sleep(0.1)

    async with connect(build(body_seconds=0.2)) as client:
        response = await client.post(ECHO, content=slowly(), headers=JSON)
    assert response.status_code == 408
    assert response.json()["code"] == "request_timeout"
    assert response.json()["retryable"] is True


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"<img src=x onerror=1>',
        b"not json",
        b'{"textValue": "x"} trailing',
        b"\xff\xfe",
        b'{"textValue": "\xed\xa0\x80"}',
        '{"textValue": "x"}'.encode("utf-16"),
        b'{"textValue": NaN}',
        b'{"textValue": -Infinity}',
        b'{"textValue": "\x00"}',
        b'{"textValue": "line\nbreak"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=range(13),
)
async def test_what_is_not_json_is_told_without_repeating_it(client: httpx2.AsyncClient, body: bytes) -> None:
    """D15, A-058."""
    response = await post(client, body)
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_json"
    assert "img" not in response.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"textValue": "\\ud800"}', "textValue"),
        (b'{"textValue": "x\\udfffy"}', "textValue"),
        (b'{"textValue": "a\\u0000b"}', "textValue"),
        (b'{"textValue": "", "anything": {"deep": ["", "\\ud83d"]}}', "anything.deep.1"),
        (b'{"textValue": "", "anything": {"\\u0000": 1}}', "anything"),
        (b'{"textValue": "a", "textValue": "b"}', "textValue"),
        (b'{"textValue": "", "anything": {"x": 1, "x": 1}}', "x"),
        (b'{"textValue": "", "anything": 9223372036854775808}', "body"),
        (b'{"textValue": "", "anything": -' + b"9" * 5000 + b"}", "body"),
        (b'{"textValue": "", "anything": 1e999}', "body"),
        (b'{"textValue": "", "anything": ' + b"[" * 100 + b"]" * 100 + b"}", None),
    ],
    ids=range(11),
)
async def test_json_that_means_different_things_to_different_readers_is_refused(
    client: httpx2.AsyncClient, body: bytes, field: str | None
) -> None:
    """D1, D2, A-054, A-056."""
    response = await post(client, body)
    code, fields = code_and_fields(response)
    assert (response.status_code, code) == (422, "invalid_input")
    assert field is None or fields == [field]


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",  # a family of three, joined
        "שלום",
        "\ufffe",
        "e" + "\u0301" * 1000,
        "\u202eabc",
        "\u2028",
        "\x7f",
        "\U0001d4b3",
    ],
)
async def test_every_other_text_passes_unchanged(client: httpx2.AsyncClient, text: str) -> None:
    """C-10, A-054: also when the client escapes it."""
    for ensure_ascii in (True, False):
        body = json.dumps({"textValue": text}, ensure_ascii=ensure_ascii).encode()
        response = await post(client, body)
        assert response.status_code == 200
        assert response.json()["textValue"] == text


@pytest.mark.parametrize("value", [9223372036854775807, -9223372036854775807, 1.5e300, [[1]], None, True])
async def test_every_other_value_passes_unchanged(client: httpx2.AsyncClient, value: Any) -> None:  # noqa: ANN401
    response = await client.post(ECHO, json={"textValue": "", "anything": value})
    assert response.json()["anything"] == value


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["textValue"]),
        ({"textValue": 1}, ["textValue"]),
        ({"textValue": ["a"]}, ["textValue"]),
        ({"textValue": "a", "html": "x", "api_base": "y"}, ["html", "api_base"]),
        ([], ["body"]),
        ("text", ["body"]),
        (None, ["body"]),
    ],
)
async def test_wrong_fields_are_named_all_at_once(
    client: httpx2.AsyncClient, body: object, fields: list[str]
) -> None:
    """C-10, A-048."""
    response = await client.post(ECHO, content=json.dumps(body), headers=JSON)
    assert response.status_code == 422
    assert code_and_fields(response) == ("invalid_input", fields)
    assert all(error["message"] for error in response.json()["errors"])


async def test_inputs_are_not_repeated(client: httpx2.AsyncClient) -> None:
    response = await client.post(ECHO, json={"textValue": 1, "anything": "canary-7391"})
    assert "canary" not in response.text


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "nonsense;;;"}])
async def test_a_body_of_another_type_is_refused(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    """A-057."""
    for content in (b"", b"x", b'{"textValue": "x"}'):
        response = await client.post(ECHO, content=content, headers=headers)
        assert response.status_code == 422


async def test_fields_in_the_address_are_named_too(client: httpx2.AsyncClient) -> None:
    response = await client.get("/api/test/items/x", params={"limit": "NaN"})
    assert code_and_fields(response) == ("invalid_input", ["item_id", "limit"])
