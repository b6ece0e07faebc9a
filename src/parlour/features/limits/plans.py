"""What the people of a plan may use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase

from parlour.vocabulary.principal import Principal, Role


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
DEFAULT, VISITORS = "default", "visitors"
"""Plans of those who have none of their own, if the operator declares them."""


@dataclass(frozen=True, slots=True)
class Plans:
    """The named plans, and the rates of everybody else."""

    requests_per_minute: int
    tokens_per_minute: int
    named: Mapping[str, Plan] = field(default_factory=dict)

    def of(self, principal: Principal) -> Plan:
        """Return the plan of a person: the one they are given, else that of visitors, else the default one.

        A name that nobody declared, or declares no more, is none.
        """
        named = self.named
        if not named:
            return EVERYBODY
        return named.get(self.name_of(principal) or DEFAULT, EVERYBODY)

    def name_of(self, principal: Principal) -> str | None:
        """Return the name of the plan that a person has; None when nobody has any."""
        if not self.named:
            return None
        if principal.plan in self.named or principal.plan == DEFAULT:
            return principal.plan
        return VISITORS if principal.role is Role.VISITOR and VISITORS in self.named else DEFAULT

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
