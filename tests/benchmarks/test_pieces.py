"""The benchmark's pieces work together. How fast anything is, is no matter of these tests."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.figures import figure, percentile, ratios
from benchmarks.footprint import installed_size
from benchmarks.processes import Server, start_parlour, start_relay, start_upstream
from benchmarks.workers.client import Job, run
from benchmarks.workers.turns import measure


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_upstream(tmp_path_factory.mktemp("upstream"))
    yield server
    server.stop()


def ask(server: Server) -> tuple[int, int, int]:
    wanted = Job(
        kind=server.kind,
        port=server.port,
        server=server.pid,
        readers=2,
        answers=2,
        tokens=20,
        rate=1000,
    )
    seen = asyncio.run(run(wanted))
    assert seen.cpu > 0
    assert len(seen.first) == seen.answers
    return seen.answers, seen.failures, seen.tokens


def test_readers_count_every_word_of_the_upstream(upstream: Server) -> None:
    assert ask(upstream) == (4, 0, 80)


def test_the_bare_relay_passes_every_word_on(upstream: Server, tmp_path: Path) -> None:
    relay = start_relay(tmp_path, upstream)
    try:
        assert ask(relay) == (4, 0, 80)
    finally:
        relay.stop()


def test_parlour_passes_every_word_on(upstream: Server, tmp_path: Path) -> None:
    parlour = start_parlour(tmp_path, upstream)
    try:
        assert ask(parlour) == (4, 0, 80)
    finally:
        parlour.stop()


def test_turns_are_stored_on_sqlite(tmp_path: Path) -> None:
    seen = asyncio.run(measure(f"sqlite:///{tmp_path / 'turns.db'}", 0.2))

    assert seen["turns_per_second"] > 0


def test_turns_are_stored_on_postgresql(postgres_database: str) -> None:
    seen = asyncio.run(measure(postgres_database, 0.2))

    assert seen["turns_per_second"] > 0


def test_a_figure_is_judged_by_its_median() -> None:
    cost = figure("cost", "x", ratios([3.0, 2.8, 9.0], [2.0, 2.0, 2.0]), target=1.5)

    assert (cost.value, cost.low, cost.high, cost.met) == (1.5, 1.4, 4.5, True)
    assert figure("speed", "x", [0.5], target=0.6, relation="at least").met is False
    assert percentile([5.0, 1.0, 3.0], 0.5) == 3.0


def test_the_installed_size_leaves_development_out() -> None:
    (size,) = installed_size(None)  # type: ignore[arg-type]  # needs nothing of a bench

    assert 10 < size.value < 1000
