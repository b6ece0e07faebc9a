"""One server for each kind of database and test module; every test brings its own people."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from tests.fakes.provider import FakeProvider
from tests.harness.databases import BACKENDS, MakeUrl
from tests.harness.serving import Person, Served, serving, settings


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run a module's tests on one event loop, so that they can share its server."""
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def plain_log() -> Iterator[None]:
    """Write warnings alone, without the pretty stacks that take seconds to draw."""
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
    )
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
async def provider(anyio_backend: str) -> AsyncIterator[FakeProvider]:
    """The model that answers."""
    async with FakeProvider() as running:
        yield running


@pytest.fixture(scope="module", params=BACKENDS)
async def served(
    request: pytest.FixtureRequest,
    anyio_backend: str,
    provider: FakeProvider,
    make_url: MakeUrl,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Served]:
    """A server on SQLite, then one on PostgreSQL."""
    provider.requests.clear()
    folder = tmp_path_factory.mktemp("parlour")
    wanted = settings(folder, url=make_url(request.param), provider=provider)
    async with serving(wanted) as running:
        await running.owner_invited()
        yield running


@pytest.fixture
async def visitor(served: Served) -> Person:
    """Somebody nobody knows yet."""
    return await served.visitor()


@pytest.fixture
async def stranger(served: Served) -> Person:
    """Somebody else."""
    return await served.visitor()
