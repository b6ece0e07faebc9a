"""The application: the wired server behind its HTTP door."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from parlour.entrypoints.http.application import Application, build_http
from parlour.entrypoints.http.routers import all_routers
from parlour.infra.web.addresses import networks
from parlour.settings import Settings
from parlour.wiring import Parlour


def create_app(settings: Settings, announce: Callable[[str], None] | None = None) -> Application:
    """Return the application for ``settings``; ``announce`` is told the owner's one-time sign-in link."""
    parlour = Parlour(settings, announce or _tell_console)

    @asynccontextmanager
    async def lifespan(_app: Application) -> AsyncIterator[None]:
        await parlour.start()
        try:
            yield
        finally:
            await parlour.stop()

    app = build_http(
        routers=all_routers(
            conversations=parlour.conversations,
            replies=parlour.replies,
            assistants=parlour.assistants,
            completions=parlour.completions,
            embedding=parlour.embedding,
            people=parlour.people,
            limits=parlour.limits,
            moderation=parlour.moderation,
            metrics=parlour.metrics,
            rests_on=parlour.rests_on,
        ),
        doorkeeper=parlour.people,
        metrics=parlour.metrics,
        checks=parlour.checks(),
        public_url=settings.server.public_url,
        production=settings.production,
        trusted_proxies=networks(settings.server.trusted_proxies),
        body_limit=settings.server.body_limit,
        draining=lambda: parlour.draining,
        lifespan=lifespan,
    )
    app.state.streams = parlour.limits.streams
    app.state.parlour = parlour
    return app


def _tell_console(link: str) -> None:
    sys.stderr.write(f"\nSign in as owner, once and within 24 hours:\n  {link}\n\n")
