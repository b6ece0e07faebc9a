"""Killed at random moments under load and started again: nothing is lost, nothing is doubled."""

import random
from pathlib import Path

import pytest

from tests.faults.soak import kill_for_long
from tests.services.postgres import PostgresServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("database", "rounds"),
    [
        ("sqlite", 8),
        ("postgres", 2),
        pytest.param("sqlite", 300, marks=pytest.mark.soak),
        pytest.param("postgres", 100, marks=pytest.mark.soak),
    ],
)
async def test_no_word_is_lost_or_said_twice_when_the_server_is_killed(
    database: str, rounds: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    url = None
    if database == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database().replace("+asyncpg", "")
    figures = await kill_for_long(tmp_path, rounds=rounds, seed=seed, database_url=url)
    assert not figures.findings, f"seed {seed}: {figures}\n" + "\n".join(figures.findings)
    assert figures.rounds == rounds
    assert figures.acknowledged > rounds
