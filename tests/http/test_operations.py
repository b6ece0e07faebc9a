"""Alive, ready, healthy, and the figures (O-4, P-42)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from parlour import __version__
from parlour.infra.observability.health import Health, HealthState
from parlour.infra.observability.metrics import Metrics
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.messages import MessageRole, Status
from parlour.vocabulary.usage import Usage
from tests.http.conftest import Build, connect

pytestmark = pytest.mark.anyio


class Part:
    """A part that is as well as a test says, and counts how often it was asked."""

    def __init__(self, name: str, look: Callable[[], Awaitable[Health]]) -> None:
        self.name = name
        self.look = look
        self.asked = 0

    async def check(self) -> Health:
        self.asked += 1
        return await self.look()


def part(state: HealthState, name: str = "database") -> Part:
    async def look() -> Health:
        return Health(state, "It said so.")

    return Part(name, look)


async def hang() -> Health:
    await asyncio.sleep(30)
    raise AssertionError


async def crash() -> Health:
    raise ConnectionError("no route to database")


@pytest.mark.parametrize(
    ("states", "overall", "health", "ready"),
    [
        ([], "healthy", 200, 200),
        ([HealthState.HEALTHY], "healthy", 200, 200),
        ([HealthState.HEALTHY, HealthState.DEGRADED], "degraded", 200, 200),
        ([HealthState.DEGRADED, HealthState.UNHEALTHY], "unhealthy", 503, 503),
    ],
)
async def test_the_worst_part_decides(
    build: Build,
    operator: dict[str, str],
    states: list[HealthState],
    overall: str,
    health: int,
    ready: int,
) -> None:
    app = build(checks=[part(state, f"part{number}") for number, state in enumerate(states)])
    async with connect(app) as client:
        response = await client.get("/health")
        assert (response.status_code, response.json()) == (health, {"status": overall})
        assert (await client.get("/readyz")).status_code == ready
        assert (await client.get("/livez")).status_code == 200
        report = (await client.get("/health", headers=operator)).json()
    assert report["version"] == __version__
    assert [check["status"] for check in report["checks"]] == ["healthy", *states]


@pytest.mark.parametrize(("look", "words"), [(hang, "No answer within"), (crash, "no route to database")])
async def test_a_part_that_hangs_or_crashes_is_unhealthy(
    build: Build, operator: dict[str, str], look: Callable[[], Awaitable[Health]], words: str
) -> None:
    async with connect(build(checks=[Part("database", look)])) as client:
        report = await client.get("/health", headers=operator)
        stranger = await client.get("/health")
    assert report.status_code == 503
    assert words in report.json()["checks"][1]["detail"]
    assert stranger.json() == {"status": "unhealthy"}


async def test_many_probes_cost_one_look(build: Build) -> None:
    database = part(HealthState.HEALTHY)
    async with connect(build(checks=[database])) as client:
        await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
    assert database.asked == 1


async def test_a_draining_server_is_alive_but_not_ready(build: Build) -> None:
    """P-18: at once, whatever was remembered."""
    draining = False
    async with connect(build(draining=lambda: draining)) as client:
        assert (await client.get("/readyz")).status_code == 200
        draining = True
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


async def test_a_wrong_token_is_refused_even_where_none_is_needed(build: Build) -> None:
    async with connect(build()) as client:
        assert (await client.get("/health", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_every_figure_is_given(build: Build, metrics: Metrics) -> None:
    metrics.stream_opened(resumed=True)
    metrics.stream_opened(resumed=False)
    metrics.stream_closed()
    metrics.message(MessageRole.USER)
    metrics.run_ended(Status.FAILED)
    metrics.run_taken_over()
    metrics.stage("searching", 0.1)
    metrics.first_token("openai", 0.2)
    for provider, cached in (("openai", False), ("openai", True), ("gemini", False)):
        metrics.attempt(
            Attempt(
                provider,
                "a-model",
                AttemptStatus.STOPPED,
                "",
                datetime.now(UTC),
                usage=Usage(input_tokens=5, output_tokens=7, cached_tokens=-1),
                cached=cached,
            )
        )
    metrics.journal_flushed(0.01)
    metrics.loop_lag(0.001)
    metrics.log_line_dropped()
    async with connect(build()) as client:
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    for line in (
        "parlour_open_streams 1.0",
        "parlour_stream_resumes_total 1.0",
        'parlour_messages_total{role="user"} 1.0',
        'parlour_runs_total{status="failed"} 1.0',
        "parlour_run_takeovers_total 1.0",
        'parlour_run_stage_seconds_count{stage="searching"} 1.0',
        'parlour_first_token_seconds_count{provider="openai"} 1.0',
        'parlour_tokens_total{kind="output",provider="openai"} 7.0',
        'parlour_tokens_total{kind="cached",provider="openai"} 0.0',
        'parlour_tokens_total{kind="input",provider="gemini"} 5.0',
        "parlour_journal_flush_seconds_count 1.0",
        "parlour_event_loop_lag_seconds_count 1.0",
        "parlour_log_lines_dropped_total 1.0",
        "process_resident_memory_bytes",
    ):
        assert line in response.text
