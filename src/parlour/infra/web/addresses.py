"""Where a request really comes from, when reverse proxies stand between (D9), and which addresses are one.

``X-Forwarded-For`` is written by whoever sends the request, so only what our own proxies appended is worth
anything: it is read from the right, for as long as the one who appended is one of them.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import structlog

_log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

UNKNOWN = "unknown"


def networks(text: str) -> Networks:
    """Return the networks of a list such as ``10.0.0.0/8, 127.0.0.1``. Raises ValueError for others."""
    return tuple(ip_network(part) for each in text.split(",") if (part := each.strip()))


class Proxies:
    """The reverse proxies of this installation, and what they say about where requests come from."""

    def __init__(self, trusted: Networks) -> None:
        """Believe ``trusted`` ones only."""
        self._trusted = trusted
        self._told = False

    def client(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """Return the client's address by :func:`client_address`."""
        if forwarded_for and not self._trusted and not self._told:
            self._tell(peer)
        return client_address(peer, forwarded_for, self._trusted)

    def _tell(self, peer: str) -> None:
        """Say once that there seems to be a proxy of which nobody has told us."""
        address = _address(peer)
        if address is None or address.is_global:
            return  # a client that wrote the header itself
        self._told = True
        _log.warning(
            "proxy_not_trusted",
            peer=peer,
            remedy=f"Visitors behind it count as one. If it is yours, set PARLOUR_TRUSTED_PROXIES={peer}",
        )


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Networks) -> str:
    """Return the address of the client, or that of the last proxy before what cannot be believed.

    ``peer`` is the other end of the connection, ``forwarded_for`` the values of all ``X-Forwarded-For``
    headers in their order. A peer without an address, as on a Unix socket, gives an empty text.
    """
    address = _address(peer)
    if address is None:
        return ""
    entries = [entry for value in forwarded_for for entry in value.split(",")]
    while entries and _is_trusted(address, trusted):
        before = _address(_without_port(entries.pop().strip()))
        if before is None:
            break
        address = before
    return str(address)


def group_of(address: str) -> str:
    """Return what stands for all addresses that one visitor can easily change between.

    A household or a server has a whole /64 of IPv6 addresses, but only one of IPv4. An address that cannot
    be read counts together with all others that cannot.
    """
    found = _address(address)
    if found is None:
        return UNKNOWN
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), 64), strict=False))
    return str(found)


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _is_trusted(address: Address, trusted: Networks) -> bool:
    return any(address in network for network in trusted)


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, port = text.partition(":")
    return host if colon and port.isdecimal() else text
