"""Where requests come from: what a client writes about itself is not believed (M-8, D9, A-250)."""

import httpx2
import pytest
from fastapi import APIRouter
from structlog.testing import capture_logs

from parlour.entrypoints.cli import serving
from parlour.entrypoints.http.application import build_http
from parlour.features.people.guards import AnyCaller
from parlour.features.people.service import Entrance
from parlour.features.people.tokens import Tokens
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.addresses import Proxies, client_address, group_of, networks
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal

PROXIES = networks("10.0.0.0/8, 127.0.0.1, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("198.51.100.9", [], "198.51.100.9"),
        ("198.51.100.9", ["6.6.6.6"], "198.51.100.9"),  # not from a proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),  # forged on the left
        ("10.0.0.1", ["6.6.6.6", "203.0.113.7"], "203.0.113.7"),  # a second header is the same list
        ("10.0.0.1", ["127.0.0.1, 10.0.0.3, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # proxies only
        ("10.0.0.1", ["203.0.113.7:51234"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, "], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, <script>"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, 1.2.3.4:x"], "10.0.0.1"),
        ("", ["203.0.113.7"], ""),
    ],
)
def test_only_what_our_proxies_appended_is_believed(peer: str, forwarded: list[str], found: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == found


def test_without_trusted_proxies_the_header_is_not_read() -> None:
    assert client_address("127.0.0.1", ["6.6.6.6"], networks("")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("", "nonsense", True),
    ],
)
def test_a_visitor_cannot_become_another_by_a_neighbouring_address(
    one: str, other: str, *, same: bool
) -> None:
    assert (group_of(one) == group_of(other)) is same


def test_a_proxy_of_which_nobody_told_us_is_noticed_once() -> None:
    """Else all visitors behind it share one limit, and nobody knows why"""
    with capture_logs() as logs:
        proxies = Proxies(networks(""))
        assert proxies.client("8.8.8.8", ["6.6.6.6"]) == "8.8.8.8"
        assert logs == []
        for _ in range(3):
            assert proxies.client("10.0.0.1", ["6.6.6.6"]) == "10.0.0.1"
    (line,) = logs
    assert line["event"] == "proxy_not_trusted"
    assert "PARLOUR_TRUSTED_PROXIES=10.0.0.1" in line["remedy"]


class Doorkeeper:
    """Tokens alone; remembers where strangers came from."""

    def __init__(self) -> None:
        self.tokens = Tokens(secret=b"own-signing-key-of-the-tests-0123456789abcdefgh")

    async def identify(self, token: str) -> Principal:
        return self.tokens.read(token)

    async def welcome_visitor(self, address: str) -> Entrance:
        visitor = Principal(new_id(), address=address)
        return Entrance(visitor, self.tokens.issue(visitor))


@pytest.mark.anyio
@pytest.mark.parametrize(("proxies", "found"), [("", "10.0.0.1"), ("10.0.0.0/8", "203.0.113.7")])
async def test_a_request_carries_its_address(proxies: str, found: str) -> None:
    router, doorkeeper = APIRouter(), Doorkeeper()

    @router.get("/api/where")
    async def where(caller: AnyCaller) -> str:
        return caller.address

    app = build_http(
        routers=[router], doorkeeper=doorkeeper, metrics=Metrics(), trusted_proxies=networks(proxies)
    )
    token = doorkeeper.tokens.issue(Principal(new_id())).text
    headers = [
        ("Authorization", f"Bearer {token}"),
        ("X-Forwarded-For", "6.6.6.6, 7.7.7.7"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Real-IP", "8.8.8.8"),
        ("Forwarded", "for=9.9.9.9"),
    ]
    transport = httpx2.ASGITransport(app, client=("10.0.0.1", 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://chat.test") as client:
        answer = await client.get("/api/where", headers=headers)
    assert answer.json() == found


def test_the_web_server_itself_believes_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """D9: uvicorn would take the leftmost entry from any peer that it trusts"""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    config = serving._config(
        serving._Start(build_http(routers=[], doorkeeper=Doorkeeper(), metrics=Metrics()))
    )
    config.load()
    assert not config.proxy_headers
    assert "ProxyHeaders" not in type(config.loaded_app).__name__
