"""The one HTTP client: forgets cookies, follows no proxy unless told to, asks our resolver."""

import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from parlour.infra.web.outbound import MOST_CONNECTIONS, open_session
from tests.fakes.provider import FakeProvider

pytestmark = pytest.mark.anyio


class Pointing(AbstractResolver):
    """Resolves every name to this machine, and writes down which were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_every_name_goes_through_the_resolver(provider: FakeProvider) -> None:
    """S-6: the seam where a policy on addresses stands."""
    resolver = Pointing()
    address = f"http://models.test:{provider.port}/v1/models"
    async with (
        open_session(user_agent="tests", resolver=resolver) as session,
        session.get(address) as response,
    ):
        assert response.status == 200

    assert resolver.asked == ["models.test"]


@pytest.mark.parametrize("trust_env", [False, True])
async def test_a_proxy_of_the_environment_is_only_used_when_asked_for(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, *, trust_env: bool
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{provider.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    async with open_session(user_agent="tests", resolver=Pointing(), trust_env=trust_env) as session:
        try:
            async with session.get("http://models.test:1/v1/models") as response:
                # A proxy is asked for the whole address, and ours knows no such path.
                reached = response.status == 404
        except aiohttp.ClientConnectionError:
            reached = False

    assert reached == trust_env


async def test_it_says_who_it_is_and_remembers_nothing(provider: FakeProvider) -> None:
    address = f"http://models.test:{provider.port}/v1/models"
    async with open_session(user_agent="parlour/1", resolver=Pointing()) as session:
        for _ in range(2):
            async with session.get(address) as response:
                assert "Set-Cookie" in response.headers
        assert session.connector is not None
        assert session.connector.limit == MOST_CONNECTIONS

    assert [each.headers["user-agent"] for each in provider.requests] == ["parlour/1", "parlour/1"]
    assert "cookie" not in provider.requests[1].headers
