"""Which addresses count as one."""

from ipaddress import IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"


def group_of(address: str) -> str:
    """Return what stands for all addresses that one visitor can easily change between.

    A household or a server has a whole /64 of IPv6 addresses, but only one of IPv4. An address that cannot
    be read counts together with all others that cannot.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return UNKNOWN
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(IPv6Network((int(found), 64), strict=False))
    return str(found)
