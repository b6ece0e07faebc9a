"""From settings to limits: what people may use, and where it is counted."""

from parlour.features.limits.budgets import Budgets, Ceilings
from parlour.features.limits.counting.memory import Memory
from parlour.features.limits.plans import Plan, Plans
from parlour.features.limits.rates import Rates
from parlour.features.limits.service import Limits
from parlour.features.limits.streams import Streams
from parlour.features.people.store import remember
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import Database
from parlour.settings import Settings


def build_limits(settings: Settings, database: Database, metrics: Metrics) -> Limits:
    """Return the limits that the settings name."""
    limits = settings.limits
    named = {name: Plan(**plan.model_dump()) for name, plan in settings.plans.items()}
    plans = Plans(limits.requests_per_minute, limits.tokens_per_minute, named)
    return Limits(
        database=database,
        rates=Rates(Memory(), plans),
        budgets=Budgets(Ceilings(**settings.budgets.model_dump()), plans, used_up=metrics.budget_used_up),
        plans=plans,
        streams=Streams(limits.streams_per_person),
        remember=remember,
        session_tokens=limits.session_tokens,
    )
