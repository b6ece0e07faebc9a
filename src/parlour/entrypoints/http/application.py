"""Puts the HTTP application together from routers and plain values."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from parlour import __version__
from parlour.entrypoints.http import operations, page, problems, reference
from parlour.entrypoints.http.middleware import BODY_SECONDS, BodyLimit, HostCheck, RequestContext
from parlour.features.people.guards import Doorkeeper
from parlour.infra.observability.health import HealthCheck
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.addresses import Networks, Proxies

STATIC: Final = Path(__file__).parents[2] / "static"
DESCRIPTION: Final = (
    "Everything the page does, this API can do. JSON in camelCase, times in UTC, lists in pages with a "
    "cursor. Send the token of POST /api/visitors as Authorization: Bearer. Errors are problem documents "
    "with a stable code."
)

Application = FastAPI
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _no_lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield


def _never() -> bool:
    return False


def build_http(
    *,
    routers: Sequence[APIRouter],
    doorkeeper: Doorkeeper,
    metrics: Metrics,
    checks: Sequence[HealthCheck] = (),
    public_url: str | None = None,
    production: bool = False,
    trusted_proxies: Networks = (),
    body_limit: int = 1024 * 1024,
    body_seconds: float = BODY_SECONDS,
    static: Path = STATIC,
    draining: Callable[[], bool] = _never,
    lifespan: Lifespan = _no_lifespan,
) -> FastAPI:
    """Return the application.

    ``routers`` are the rooms' own; ``doorkeeper`` tells who is asking; ``checks`` are the parts that
    ``/health`` and ``/readyz`` look at, and ``draining`` says that the server is going away. What
    ``trusted_proxies`` say about where a request comes from is believed.
    """
    app = FastAPI(
        title="Parlour",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # the reference serves it, guarded
        redirect_slashes=False,  # an address has one spelling, and a redirect would repeat the Host header
        responses=reference.PROBLEM_RESPONSES,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            Middleware(RequestContext, metrics=metrics),
            Middleware(HostCheck, public_url=public_url),
            Middleware(BodyLimit, limit=body_limit, seconds=body_seconds),
        ],
    )
    app.state.doorkeeper = doorkeeper
    app.state.public_url = public_url
    app.state.proxies = Proxies(trusted_proxies)
    app.state.metrics = metrics
    problems.install(app, count=metrics.error)
    for router in routers:
        app.include_router(router)
    app.include_router(
        operations.routes(
            checks=checks, metrics=metrics, version=__version__, production=production, draining=draining
        )
    )
    app.include_router(reference.routes(production=production))
    app.include_router(page.routes(static))
    return app
