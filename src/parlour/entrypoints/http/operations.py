"""What operators and their machines ask: is it alive, is it ready, how are its parts and its figures."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from parlour.features.people.guards import PUBLIC, CallerIfAny, operator
from parlour.infra.observability.health import Health, HealthCheck, HealthState
from parlour.infra.observability.metrics import Metrics
from parlour.vocabulary.principal import Role

CHECK_SECONDS: Final = 1.0
FRESH_SECONDS: Final = 1.0  # probes from everywhere at once cost one look
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class PartHealth(BaseModel):
    """One part of the server. ``detail`` says what is wrong and how to mend it."""

    name: str
    status: HealthState
    detail: str


class HealthReport(BaseModel):
    """The whole server; parts and version for operators only."""

    status: HealthState
    version: str | None = None
    checks: list[PartHealth] | None = None


class Examination:
    """Looks at every part at once, and remembers the result for a second."""

    def __init__(self, checks: Sequence[HealthCheck], *, draining: Callable[[], bool]) -> None:
        """Examine these parts; a server that is ``draining`` is unhealthy whatever they say."""
        self._checks = checks
        self._draining = draining
        self._parts: list[PartHealth] = []
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def parts(self) -> list[PartHealth]:
        """Return each part's health, at most a second old."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= FRESH_SECONDS:
                self._parts = list(await asyncio.gather(*(_examine(check) for check in self._checks)))
                self._looked_at = time.monotonic()
        draining = self._draining()
        state = HealthState.UNHEALTHY if draining else HealthState.HEALTHY
        server = PartHealth(name="server", status=state, detail="Shutting down." if draining else "Serving.")
        return [server, *self._parts]


async def _examine(check: HealthCheck) -> PartHealth:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            health = await check.check()
    except TimeoutError:
        health = Health(HealthState.UNHEALTHY, f"No answer within {CHECK_SECONDS:g} s.")
    except Exception as error:  # noqa: BLE001 - a check that fails in a new way is a finding, not a crash
        health = Health(HealthState.UNHEALTHY, f"{type(error).__name__}: {error}")
    return PartHealth(name=check.name, status=health.state, detail=health.detail)


def overall(parts: Sequence[PartHealth]) -> HealthState:
    """Return the worst state of all parts."""
    states = {part.status for part in parts}
    worst_first = (HealthState.UNHEALTHY, HealthState.DEGRADED)
    return next((state for state in worst_first if state in states), HealthState.HEALTHY)


def routes(
    *,
    checks: Sequence[HealthCheck],
    metrics: Metrics,
    version: str,
    production: bool,
    draining: Callable[[], bool],
) -> APIRouter:
    """Return the operators' routes. In production figures are for operators only."""
    router = APIRouter(tags=["operation"])
    examination = Examination(checks, draining=draining)

    @router.get("/livez", dependencies=[PUBLIC])
    async def livez() -> dict[str, str]:
        """Tell that the process runs and its event loop turns. Depends on nothing else."""
        return {"status": "alive"}

    @router.get("/readyz", dependencies=[PUBLIC])
    async def readyz(response: Response) -> dict[str, str]:
        """Tell whether to send requests here: 503 while starting, draining, or unable to serve."""
        ready = overall(await examination.parts()) is not HealthState.UNHEALTHY
        response.status_code = 200 if ready else 503
        return {"status": "ready" if ready else "not ready"}

    @router.get("/health", response_model_exclude_none=True)
    async def health(caller: CallerIfAny, response: Response) -> HealthReport:
        """Tell how the server is: 503 when it cannot serve. Operators also see its parts."""
        parts = await examination.parts()
        status = overall(parts)
        response.status_code = 503 if status is HealthState.UNHEALTHY else 200
        if caller is None or not caller.role.includes(Role.OPERATOR):
            return HealthReport(status=status)
        return HealthReport(status=status, version=version, checks=parts)

    guard = Depends(operator) if production else PUBLIC

    @router.get("/metrics", dependencies=[guard], response_class=PlainTextResponse)
    async def read_metrics() -> Response:
        """Give all figures in Prometheus' text form."""
        return Response(metrics.render(), media_type=METRICS_TYPE)

    return router
