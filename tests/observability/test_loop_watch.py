"""The watch over the event loop (F-040)."""

import asyncio
import time

import pytest
import structlog

from parlour.infra.observability.health import HealthState
from parlour.infra.observability.loop_watch import LoopWatch
from parlour.infra.observability.metrics import Metrics

pytestmark = pytest.mark.anyio


def block(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_blocked_loop_is_shown_with_its_stack_and_unhealthy() -> None:
    metrics = Metrics()
    with structlog.testing.capture_logs() as lines:
        async with LoopWatch(metrics) as watch:
            assert (await watch.check()).state is HealthState.HEALTHY
            await asyncio.sleep(0.3)
            block(2.2)
            await asyncio.sleep(0.3)
            assert (await watch.check()).state is HealthState.UNHEALTHY
    (line,) = [line for line in lines if line["event"] == "event loop blocked"]
    assert "block(2.2)" in line["stack"]
    assert 'parlour_event_loop_lag_seconds_bucket{le="1.0"}' in metrics.render().decode()


async def test_a_loop_that_turns_is_healthy() -> None:
    with structlog.testing.capture_logs() as lines:
        async with LoopWatch(Metrics()) as watch:
            await asyncio.sleep(0.6)
            assert (await watch.check()).state is HealthState.HEALTHY
    assert lines == []
