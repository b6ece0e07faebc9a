"""OpenAI's JavaScript SDK, unmodified, against a real server (T-5)."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.script import Call, calling
from tests.harness.process import ROOT
from tests.harness.serving import Person, Served
from tests.openai_api.conftest import MODEL

pytestmark = pytest.mark.anyio

CLIENT = Path(__file__).with_name("client.mjs")
SECONDS = 240  # the page's tools may have to be installed first


async def run_client(served: Served, key: str, **environment: str) -> dict[str, Any]:
    """Run the program with the page's own Node and packages; return what it tells."""
    words = ["npm", "exec", "--offline", "--", "node", str(CLIENT), f"{served.url}/v1", key, MODEL]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "scripts" / "page.py"),
        *words,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return found


async def test_the_javascript_sdk_works_unmodified(
    served: Served, user: Person, provider: FakeProvider
) -> None:
    question = f"How is the weather with tools? [[{calling(Call('weather', json.dumps({'city': 'Ulm'})))}]]"
    told = await run_client(served, user.token, QUESTION_WITH_TOOL=question)
    assert {"default", "auto", MODEL} <= set(told["models"])
    assert told["model"] == MODEL
    assert told["whole"]["text"]
    assert told["whole"]["usage"] > 0
    assert told["streamed"]["text"].count(" ") == 19
    assert told["streamed"]["finish"] == "stop"
    assert told["streamed"]["usage"] > 0
    assert told["tools"]["called"] == ["Ulm"]
    assert told["tools"]["text"]
    assert told["helper"]
    stored = await user.messages(told["assistant"]["session"])
    assert told["assistant"]["text"] == stored[-1]["content"]
    assert told["errors"] == [
        {"kind": "AuthenticationError", "status": 401, "code": "invalid_api_key", "param": None},
        {"kind": "NotFoundError", "status": 404, "code": "model_not_found", "param": None},
        {"kind": "BadRequestError", "status": 400, "code": "unsupported_value", "param": "n"},
    ]
