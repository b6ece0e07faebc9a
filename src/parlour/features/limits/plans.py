"""What the people of a plan may use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase

from parlour.vocabulary.principal import Principal


@dataclass(frozen=True, slots=True)
class Plan:
    """Allowances of a person. What is None is as for everybody; no ``models`` means all of them.

    ``models`` are ids such as ``openai/gpt-5-mini`` or patterns such as ``ollama/*``.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    models: tuple[str, ...] = ()
    budget_day: Decimal | None = None
    budget_month: Decimal | None = None

    def offers(self, model: str) -> bool:
        """Tell whether the model ``provider/name`` belongs to this plan."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


EVERYBODY = Plan()


@dataclass(frozen=True, slots=True)
class Plans:
    """The named plans, and the rates of everybody else."""

    requests_per_minute: int
    tokens_per_minute: int
    named: Mapping[str, Plan] = field(default_factory=dict)

    def of(self, principal: Principal) -> Plan:
        """Return the plan of a person; a name that nobody declared is no plan."""
        return self.named.get(principal.plan, EVERYBODY) if principal.plan is not None else EVERYBODY

    def rates(self, principal: Principal) -> tuple[int, int]:
        """Return how many requests and tokens a person has in a minute."""
        plan = self.of(principal)
        return (
            plan.requests_per_minute or self.requests_per_minute,
            plan.tokens_per_minute or self.tokens_per_minute,
        )

    def allowed(self, principal: Principal, models: Iterable[str]) -> frozenset[str] | None:
        """Return those of ``models`` that a person may ask; None when their plan leaves none out."""
        plan = self.of(principal)
        return frozenset(filter(plan.offers, models)) if plan.models else None
