"""From settings to limits: what people may use, where it is counted, and what goes on behind it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from parlour.features.limits.budgets import Budgets, Ceilings
from parlour.features.limits.counting.memory import Memory
from parlour.features.limits.counting.tally import Counting
from parlour.features.limits.plans import Plan, Plans
from parlour.features.limits.rates import Rates
from parlour.features.limits.service import Limits
from parlour.features.limits.sharing import BreakerWords, Servers
from parlour.features.limits.streams import Streams
from parlour.features.people.store import remember
from parlour.infra.observability.health import HealthCheck
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import Database
from parlour.settings import Settings
from parlour.settings.limits import PlanSettings
from parlour.settings.naming import carried
from parlour.vocabulary.ids import new_id

Work = Callable[[], Awaitable[None]]


@dataclass
class LimitParts:
    """The limits, and what belongs to them: background work, health checks, what to close at the end.

    ``breakers`` is where servers leave word about models; None for a server that is alone.
    """

    limits: Limits
    servers: Servers
    breakers: BreakerWords | None = None
    works: dict[str, Work] = field(default_factory=dict)
    checks: list[HealthCheck] = field(default_factory=list)
    closing: list[Work] = field(default_factory=list)

    async def close(self) -> None:
        """Say goodbye to the other servers and to Redis."""
        for close in self.closing:
            await close()


def build_limits(settings: Settings, database: Database, metrics: Metrics, *, alone: bool) -> LimitParts:
    """Return the limits that the settings name; ``alone`` says that no other server shares the database."""
    limits = settings.limits
    named = {name: _plan(settings, plan) for name, plan in settings.plans.items()}
    plans = Plans(limits.requests_per_minute, limits.tokens_per_minute, named)
    budgets = Budgets(Ceilings(**settings.budgets.model_dump()), plans, used_up=metrics.budget_used_up)
    servers = Servers(database, new_id())
    counting, checks, closing = _counting(settings, servers)
    parts = LimitParts(
        Limits(
            database=database,
            rates=Rates(counting, plans),
            budgets=budgets,
            plans=plans,
            streams=Streams(limits.streams_per_person),
            remember=remember,
            session_tokens=limits.session_tokens,
        ),
        servers,
        checks=checks,
        closing=closing,
    )
    parts.works["budgets"] = parts.limits.keep_sweeping
    if not alone:
        parts.breakers = BreakerWords(database)
        parts.works["servers"] = servers.keep
        parts.closing.append(servers.leave)
    return parts


def _plan(settings: Settings, plan: PlanSettings) -> Plan:
    """Return a plan with its models and patterns in the names that the models carry."""
    models = tuple(dict.fromkeys(name for each in plan.models for name in (carried(settings, each), each)))
    return Plan(**plan.model_dump() | {"models": models})


def _counting(settings: Settings, servers: Servers) -> tuple[Counting, list[HealthCheck], list[Work]]:
    memory = Memory(share=lambda: servers.share)
    if settings.redis_url is None:
        return memory, [], []
    return _counting_in_redis(settings.redis_url.get_secret_value(), memory, servers)


def _counting_in_redis(
    url: str, memory: Memory, servers: Servers
) -> tuple[Counting, list[HealthCheck], list[Work]]:
    # 22 MB and 75 ms that a server without Redis does not need.
    from parlour.features.limits.counting.shared import Shared
    from parlour.infra.storage.redis import RedisCheck, open_redis

    client = open_redis(url)
    shared = Shared(client, memory, share=lambda: servers.share)
    return shared, [RedisCheck(client)], [shared.close, client.aclose]
