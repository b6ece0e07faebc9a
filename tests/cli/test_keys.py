"""API keys from the command line (S-1)."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.cli.conftest import Run, Server
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio


def me(server: Server, key: str) -> tuple[int, dict[str, str]]:
    """Who the server takes the key's holder for."""
    headers = {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{server.url}/api/me", headers=headers)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, {}


async def test_a_key_from_the_command_line_works_until_it_is_revoked(
    parlour: Run, serve: Callable[..., Server]
) -> None:
    made = parlour(
        "keys",
        "create",
        "--name",
        "nightly",
        "--scope",
        "chat",
        "--scope",
        "read",
        "--email",
        "ada@example.org",
    )
    assert (made.status, made.err) == (0, "")
    key = made.out.strip()
    server = serve()
    status, who = me(server, key)
    assert (status, who["role"]) == (200, "user")
    (line,) = parlour("keys", "list").out.splitlines()
    assert key[:14] in line
    assert key[14:] not in line
    assert all(word in line for word in ("chat,read", "ada@example.org", "never expires", "nightly"))
    assert parlour("keys", "revoke", line.split()[0]).status == 0

    async def refused() -> bool:
        return me(server, key)[0] == 401

    await until(refused, 5, "the revoked key is refused")
    assert parlour("keys", "list").out == ""


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ("--name x --scope everything", 2, "everything"),
        ("--name x", 2, "--scope"),
        ("--name x --scope admin", 1, "needs --role operator"),
        ("--name x --scope chat --role visitor", 1, "Visitors have no keys"),
        ("--name x --scope chat --email nobody", 1, "not an e-mail address"),
        ("--name x --scope chat --days 0", 2, "--days"),
    ],
)
def test_a_key_that_makes_no_sense_is_told_in_a_line(
    parlour: Run, options: str, status: int, words: str
) -> None:
    result = parlour("keys", "create", *options.split())
    assert (result.status, result.out) == (status, "")
    assert words in result.err


def test_a_key_that_is_not_there_cannot_be_revoked(parlour: Run) -> None:
    result = parlour("keys", "revoke", "0192f0c1-0000-7000-8000-000000000000")
    assert (result.status, result.out) == (1, "")
