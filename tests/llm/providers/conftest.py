"""Every test of the contract suite runs against each provider, over HTTP to the fake that speaks like it."""

import aiohttp
import pytest

from parlour.llm.timeouts import Timeouts
from tests.fakes.provider import FakeProvider
from tests.llm.conftest import KEY
from tests.llm.providers.kinds import KINDS, Kind, MakeModel, Provider


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return the provider that this test is about."""
    found: Kind = request.param
    return found


@pytest.fixture
def make_model(kind: Kind, provider: FakeProvider, session: aiohttp.ClientSession) -> MakeModel:
    """Return a maker of adapters."""

    def make(
        name: str = "fake", *, timeouts: Timeouts | None = None, base_url: str = "", api_key: str = KEY
    ) -> Provider:
        return kind.adapter(
            session=session,
            base_url=base_url or kind.base_url(provider.root),
            api_key=api_key,
            model=name,
            timeouts=timeouts,
            provider=kind.name,
        )

    return make


@pytest.fixture
def model(make_model: MakeModel) -> Provider:
    """Return an adapter with the product's own limits."""
    return make_model()
