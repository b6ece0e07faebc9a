"""The one HTTP client for everything that leaves the house. ``wiring`` makes it; nobody else opens another.

It remembers nothing between calls (no cookies), follows no proxy of the environment unless told to, and asks
one resolver for every name: the place where a policy on addresses can stand (S-6).
"""

import aiohttp
from aiohttp.abc import AbstractResolver

Session = aiohttp.ClientSession

# Each streaming answer holds a connection, and one process is meant to carry 640 of them.
MOST_CONNECTIONS = 1000
# Longer than a person takes between two questions costs nothing and saves the next one a TLS handshake.
KEEP_ALIVE = 30.0
# The most one stream keeps unread is twice this.
READ_BUFFER = 64 * 1024


def open_session(
    *, user_agent: str, resolver: AbstractResolver | None = None, trust_env: bool = False
) -> aiohttp.ClientSession:
    """Return a new session on the running event loop; the caller closes it.

    ``trust_env`` takes proxies from the environment. Calls bring their own time limits: a default one would
    cut streams short or let a call without one hang for minutes, so it only bounds what forgot to say.
    """
    connector = aiohttp.TCPConnector(limit=MOST_CONNECTIONS, resolver=resolver, keepalive_timeout=KEEP_ALIVE)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent},
        timeout=aiohttp.ClientTimeout(total=60, connect=5),
        read_bufsize=READ_BUFFER,
        trust_env=trust_env,
    )
