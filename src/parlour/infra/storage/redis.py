"""Redis, where there is one: what servers share for speed, never the only place where something is kept.

Whoever uses it has to do without it at any moment, so a call gets little time and is not tried again.
Importing this module costs 22 MB: only an installation that has Redis does.
"""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from parlour.infra.observability.health import Health, HealthState

# A call takes 0.2 ms in a data centre. What takes longer than this holds up somebody's message.
CALL_SECONDS = 0.1
CONNECTIONS = 16

# What a call raises when Redis is not to be had; the client lets some of the system's own errors through.
FAILURES = (RedisError, OSError, TimeoutError)


def open_redis(url: str, *, patience: float = CALL_SECONDS) -> Redis:
    """Return a client for ``redis://…`` that waits ``patience`` seconds; nothing is connected yet."""
    client: Redis = Redis.from_url(
        url,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        retry=Retry(NoBackoff(), 0),
        max_connections=CONNECTIONS,
        client_name="parlour",
        protocol=2,  # with 3 the client would first ask the server for notices that we have no use for
    )
    return client


class RedisCheck:
    """Whether Redis answers. Without it everything works, with counts of each server's own."""

    name = "redis"

    def __init__(self, client: Redis) -> None:
        """Look at the server of ``client``."""
        self._client = client

    async def check(self) -> Health:
        """Ask for a sign of life."""
        try:
            await self._client.ping()
        except FAILURES as error:
            return Health(
                HealthState.DEGRADED,
                f"Does not answer ({type(error).__name__}): each server counts for itself. "
                "Look at the Redis that PARLOUR_REDIS_URL names.",
            )
        return Health(HealthState.HEALTHY, "Answers.")
