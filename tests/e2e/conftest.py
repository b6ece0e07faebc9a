"""One server with a fake provider, one with the built-in answerer, one Chromium; a window for each test."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.e2e.line import Line
from tests.e2e.reader import PATIENCE_MS, Reader
from tests.fakes.provider import FakeProvider
from tests.harness.process import ROOT, ServerProcess

# Quiet: no services of the browser's maker, nothing that would reach for a network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]

Open = Callable[..., Awaitable[Reader]]
"""Open a window at ``url``; keyword arguments go to the browser context."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as driving a browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Share one event loop, so that browser and servers may outlive a test."""
    return "asyncio"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    found = (
        os.environ.get("PARLOUR_TEST_CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
    )
    if not found:
        pytest.fail("The browser tests need Chromium: see scripts/ensure_browser.py")
    return found


@pytest.fixture(scope="session")
def built_page() -> Path:
    """The page, built."""
    page = ROOT / "src" / "parlour" / "static" / "index.html"
    if not page.exists():
        pytest.fail("The page is not built: run make setup")
    return page


@pytest.fixture(scope="session")
async def browser(anyio_backend: str, chromium: str) -> AsyncIterator[Browser]:
    """A running Chromium."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def provider(anyio_backend: str) -> AsyncIterator[FakeProvider]:
    """A model that does as the question tells it."""
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture(scope="session")
async def server(
    provider: FakeProvider, built_page: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server that answers with the fake provider's words."""
    environment = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.base_url, "OPENAI_MODEL": "fake"}
    folder = tmp_path_factory.mktemp("e2e") / "data"
    async with ServerProcess(folder, environment=environment) as server:
        yield await server.start()


@pytest.fixture(scope="session")
async def builtin_server(
    anyio_backend: str, built_page: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server as it comes: no key, its own documentation to answer from."""
    folder = tmp_path_factory.mktemp("e2e-builtin") / "data"
    async with ServerProcess(folder, environment={"PARLOUR_KNOWLEDGE": "on"}) as server:
        yield await server.start()


@pytest.fixture
async def open_window(browser: Browser) -> AsyncIterator[Open]:
    """Open windows that are watched: at the end none may have called elsewhere, or had an error."""
    readers: list[Reader] = []
    async with AsyncExitStack() as stack:

        async def open_window(url: str, **options: object) -> Reader:
            context = await browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})  # type: ignore[arg-type]
            stack.push_async_callback(context.close)
            reader = await Reader.at(context, url)
            readers.append(reader)
            return reader

        yield open_window
        for reader in readers:
            assert reader.foreign == []
            assert reader.complaints == []


@pytest.fixture
async def reader(open_window: Open, server: ServerProcess) -> Reader:
    """Somebody at the page for the first time."""
    return await open_window(server.url)


@pytest.fixture
async def line(server: ServerProcess) -> AsyncIterator[Line]:
    """A line to the server that can be cut."""
    async with Line(server.port) as line:
        yield line
