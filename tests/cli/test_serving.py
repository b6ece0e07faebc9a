"""``parlour serve`` from its first line to its last (P-18, D12, S-1)."""

import asyncio
import json
import re
import signal
import time
from collections.abc import Callable

import httpx2
import pytest

from tests.cli.conftest import Run, Server
from tests.fakes.provider import FakeProvider

pytestmark = pytest.mark.anyio

Serve = Callable[..., Server]


async def visitor(client: httpx2.AsyncClient) -> dict[str, str]:
    token = (await client.post("/api/visitors")).json()["token"]
    return {"Authorization": f"Bearer {token}"}


def links(server: Server) -> list[str]:
    return re.findall(r"http://\S+/#sign-in=(\S+)", server.out)


async def test_the_console_says_where_it_is_and_how_the_owner_comes_in(serve: Serve, parlour: Run) -> None:
    server = serve()
    assert f"ready: {server.url}" in server.out
    (link,) = links(server)
    assert f"{server.url}/#sign-in={link}" in server.out  # one origin: a browser keeps its token by that
    async with httpx2.AsyncClient(base_url=server.url) as client:
        signed_in = (await client.post("/api/sign-in", json={"token": link})).json()
        headers = {"Authorization": f"Bearer {signed_in['token']}"}
        assert (await client.get("/api/me", headers=headers)).json()["role"] == "owner"
        assert (await client.post("/api/sign-in", json={"token": link})).status_code == 401
        script = parlour("users", "token", "--role", "operator").out.strip()
        health = await client.get("/health", headers={"Authorization": f"Bearer {script}"})
        assert health.json()["checks"]
    assert link not in server.err
    server.stop()
    assert links(serve()) == []


def test_the_log_says_at_the_start_what_has_no_effect(serve: Serve) -> None:
    server = serve(PARLOUR_LOG_FORMAT="json", PARLOUR_TASK_CODE="gemini/gemini-x")
    server.stop()
    lines = [json.loads(line) for line in server.err.splitlines()]
    (line,) = [each for each in lines if each["event"] == "setting_without_effect"]
    assert "PARLOUR_TASK_CODE" in line["reason"]


async def test_the_log_is_json_lines_that_belong_together(serve: Serve) -> None:
    server = serve(PARLOUR_LOG_FORMAT="json")
    async with httpx2.AsyncClient(base_url=server.url) as client:
        headers = await visitor(client)
        secret = headers["Authorization"].split()[1]
        await client.get("/api/me?password=hunter2", headers=headers | {"X-Request-Id": "mine-1"})
    server.stop()
    lines = [json.loads(line) for line in server.err.splitlines()]
    (mine,) = [line for line in lines if line.get("request_id") == "mine-1"]
    assert (mine["event"], mine["route"], mine["status"]) == ("request", "/api/me", 200)
    assert mine["timestamp"].endswith("Z")
    assert mine["person_id"]
    assert secret not in server.err
    assert "hunter2" not in server.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_signal_ends_streams_at_once_and_the_process_in_time(serve: Serve, number: int) -> None:
    """P-18, D12: readers are told, the answer is finished and kept, the status is 0."""
    async with FakeProvider() as provider:
        server = serve(OPENAI_BASE_URL=provider.base_url, OPENAI_MODEL="fake")
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
            headers = await visitor(client)
            body = {"message": "tell me [[n=40;dt=0.05]]", "stream": True}
            async with client.stream("POST", "/api/chat", json=body, headers=headers) as stream:
                lines = stream.aiter_lines()
                async for line in lines:
                    if "content" in line:
                        break
                began = time.monotonic()
                stopping = asyncio.create_task(asyncio.to_thread(server.stop, number))
                rest = [line async for line in lines]
                told_after = time.monotonic() - began
        seconds = await stopping
    assert "event: draining" in rest
    assert told_after < 1.5  # 1 s is promised; the rest is for a busy machine
    assert seconds < 30
    assert server.process.returncode == 0
    assert '"status":"completed"' in server.err


async def test_a_second_server_on_the_same_data_is_refused(serve: Serve, parlour: Run) -> None:
    serve()
    result = parlour("serve", "--port", "0")
    assert result.status == 1
    assert result.err.count("\n") == 1
    assert "already serves" in result.err


@pytest.mark.parametrize(
    ("model", "mark", "words"),
    [("fake", "ok", "answers and offers fake"), ("fancy", "warn", "does not offer fancy")],
)
async def test_the_doctor_asks_the_provider_for_its_models(
    parlour: Run, model: str, mark: str, words: str
) -> None:
    async with FakeProvider() as provider:
        result = await asyncio.to_thread(
            parlour, "doctor", OPENAI_BASE_URL=provider.base_url, OPENAI_MODEL=model, OPENAI_API_KEY="sk-1"
        )
    (line,) = [line for line in result.out.splitlines() if line[6:].startswith("openai")]
    assert line.startswith(mark)
    assert words in line
