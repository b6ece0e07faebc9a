"""The examples of the guide are run as they stand there, with another address and key."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parlour.settings.choosing import ModelSettings
from tests.fakes.provider import FakeProvider
from tests.harness.process import ROOT
from tests.harness.serving import Person, Served, serving
from tests.openai_api.conftest import named_model
from tests.openai_api.test_javascript import SECONDS

pytestmark = pytest.mark.anyio

GUIDE = (ROOT / "docs" / "guides" / "openai-api.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
EMBEDDING_MODEL = "openai/text-embedding-3-small"


def examples(language: str) -> list[str]:
    """The guide's examples in a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    return [example for example in found if ADDRESS in example]


@pytest.fixture(scope="module")
async def served(
    anyio_backend: str, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A server with an embedding model; it has the name that the guide's has, as a bare one."""
    models = ModelSettings(embedding_models=EMBEDDING_MODEL)
    async with serving(named_model(tmp_path_factory.mktemp("parlour"), provider, models=models)) as running:
        yield running


async def run(words: list[str], user: Person, folder: Path = ROOT) -> str:
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        env=os.environ | {"PARLOUR_API_KEY": user.token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0, err.decode()
    return out.decode().strip()


def here(example: str, served: Served) -> str:
    return example.replace(ADDRESS, served.url).replace(EMBEDDING_MODEL, "text-embedding-3-small")


@pytest.mark.parametrize("example", examples("python"), ids=["answers", "sessions", "vectors"])
async def test_the_python_examples_run(served: Served, user: Person, example: str) -> None:
    assert await run([sys.executable, "-c", here(example, served)], user)


async def test_the_javascript_example_runs(served: Served, user: Person, tmp_path: Path) -> None:
    (example,) = examples("js")
    # As in a project of its own, which finds the SDK beside its program.
    (tmp_path / "node_modules").symlink_to(ROOT / "web" / "node_modules")
    (tmp_path / "program.mjs").write_text(here(example, served))
    page = [sys.executable, str(ROOT / "scripts" / "page.py"), "npm"]
    assert await run([*page, "exec", "--offline", "--", "node", str(tmp_path / "program.mjs")], user)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
async def test_the_curl_example_runs(served: Served, user: Person) -> None:
    (example,) = examples("sh")
    assert '"chat.completion"' in await run(["sh", "-c", here(example, served)], user)
