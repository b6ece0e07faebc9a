"""The models of this server: which there are, who answers a message, and what that may cost at worst."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from parlour.llm.cost import Price, Prices
from parlour.llm.orchestra.breaker import BreakerState, State
from parlour.llm.orchestra.fallback import Answering, Orchestra
from parlour.llm.orchestra.routing import AUTOMATIC, BUILTIN, NOBODY, Candidate, Choice, Policy, Router, Wish
from parlour.vocabulary.errors import Forbidden
from parlour.vocabulary.principal import Principal
from parlour.vocabulary.usage import Usage

Allowed = Callable[[Principal, Sequence[str]], frozenset[str] | None]
"""Returns those models, as ``provider/name``, that a person may ask; None for all of them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The operator's terms for every answer: its most tokens, its most US dollars.

    ``cached``: answers are kept, and given again to who asks the same.
    """

    reply_tokens: int = 8_192
    ceiling: Decimal | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A model as somebody who may choose sees it. ``note`` says why it does not answer right now."""

    candidate: Candidate
    default: bool
    price: Price | None
    note: str | None

    @property
    def id(self) -> str:
        """Return what it is asked for by."""
        return model_id(self.candidate)


def model_id(candidate: Candidate) -> str:
    """Return a model's id: ``provider/name``; there is only one built-in one."""
    return BUILTIN if candidate.model.provider == BUILTIN else candidate.ref


class Models:
    """All models, and the choice among them."""

    def __init__(
        self,
        orchestra: Orchestra,
        *,
        policy: Policy,
        prices: Prices,
        terms: Terms,
        allowed: Allowed,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        """Begin without a model; :meth:`fill` brings them. ``aliases`` are other names of providers."""
        self._aliases = aliases or {}
        self._orchestra = orchestra
        self._policy = policy
        self._prices = prices
        self._allowed = allowed
        self.terms = terms
        self._small: tuple[Candidate, ...] = ()
        self._router = self._routing(())

    def fill(self, candidates: Sequence[Candidate], small: Sequence[Candidate] = ()) -> None:
        """Have these models from now on, and ``small`` ones for work behind the scenes, the first one first.

        What is being answered goes on with those it had.
        """
        self._router = self._routing(candidates)
        self._small = tuple(small)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every model, the default one of each provider first."""
        return self._router.candidates

    def offers(self, model: str | None) -> bool:
        """Tell whether ``model`` can be asked for."""
        return self._router.offers(self._meant(model))

    def find(self, model: str | None) -> Candidate | None:
        """Return the model that a wish names; None for ``auto`` and for what is not here."""
        return self._router.find(self._meant(model))

    def names(self) -> list[str]:
        """Return what can be asked for."""
        return [AUTOMATIC, *(model_id(candidate) for candidate in self.candidates)]

    def allowed(self, principal: Principal) -> frozenset[str] | None:
        """Return the models that a person's plan has; None for all of them."""
        return self._allowed(principal, [candidate.ref for candidate in self.candidates])

    def check_plan(self, principal: Principal, model: str | None) -> None:
        """Raise Forbidden for a model that is named and that a person's plan lacks."""
        candidate = self.find(model)
        if candidate is not None and not self._router.allows(candidate, self.allowed(principal)):
            raise Forbidden("Your plan does not include this model. Choose another one.")

    def choose(self, wish: Wish) -> Choice:
        """Return who answers, and why, on the operator's terms. Raises what tells best why nobody can.

        ``wish.priced`` says that a budget holds: then what is free is not replaced by what is not.
        """
        terms = self.terms
        choice = self._router.choose(
            replace(
                wish,
                model=self._meant(wish.model),
                max_tokens=wish.max_tokens or terms.reply_tokens,
                ceiling=terms.ceiling,
            )
        )
        return self._free_only(choice) if wish.priced else choice

    def answering(self, choice: Choice, *, scope: str | None = None) -> Answering:
        """Return the voice of one turn; ``scope`` says whose kept answers it may give again."""
        return self._orchestra.answering(choice, scope=scope)

    def small_work(self, principal: Principal) -> Choice | None:
        """Return who does small work such as titles; None when nobody does that a person's plan has."""
        allowed = self._allowed(principal, [candidate.ref for candidate in self._small])
        small = tuple(each for each in self._small if self._router.allows(each, allowed))
        if NOBODY in self._policy.fallback:
            small = small[:1]
        return Choice(small, "Small work goes to small models.") if small else None

    def worst_case_usd(
        self, choice: Choice, *, prompt_tokens: int, reply_tokens: int | None = None
    ) -> Decimal:
        """Return the most that an answer can cost. The choice was made among models of known prices."""
        most = self.terms.reply_tokens if reply_tokens is None else reply_tokens
        worst = self._router.worst_case_usd(choice, prompt_tokens, most)
        return Decimal(0) if worst is None else worst

    def cost_usd(self, provider: str, model: str, usage: Usage) -> Decimal | None:
        """Return what a call cost; None where its price is unknown."""
        return self._prices.cost_usd(provider, model, usage)

    def offered(self, principal: Principal | None) -> list[Offer]:
        """Return the models that a person can choose from; everybody's, where nobody is known."""
        allowed = None if principal is None else self.allowed(principal)
        firsts = {candidate.model.provider: candidate for candidate in reversed(self.candidates)}
        return [
            Offer(
                candidate,
                default=firsts[candidate.model.provider] is candidate,
                price=self._prices.price_of(candidate.model.provider, candidate.model.name),
                note=self._note(candidate),
            )
            for candidate in self.candidates
            if self._router.allows(candidate, allowed)
        ]

    def states(self) -> list[BreakerState]:
        """Return how every model does, also those that nobody has asked yet."""
        breakers = self._orchestra.breakers
        return [
            breakers.of(candidate.model.provider, candidate.model.name).snapshot()
            for candidate in self.candidates
        ]

    def _meant(self, model: str | None) -> str | None:
        if model is None or not self._aliases:
            return model
        provider, slash, name = model.partition("/")
        return self._aliases.get(provider, provider) + slash + name

    def _free_only(self, choice: Choice) -> Choice:
        """Leave to a free choice free stand-ins only: nothing is reserved for it."""
        free = tuple(each for each in choice.candidates if self._costs_nothing(each))
        return replace(choice, candidates=free) if choice.first in free else choice

    def _costs_nothing(self, candidate: Candidate) -> bool:
        price = self._prices.price_of(candidate.model.provider, candidate.model.name)
        return price is not None and price.input == price.output == 0

    def _routing(self, candidates: Sequence[Candidate]) -> Router:
        return Router(candidates, self._policy, breakers=self._orchestra.breakers, prices=self._prices)

    def _note(self, candidate: Candidate) -> str | None:
        match self._orchestra.breakers.of(candidate.model.provider, candidate.model.name).state:
            case State.OPEN | State.HALF_OPEN:
                return "Not answering at the moment."
            case State.COOLING:
                return "Takes no more questions for the moment."
            case State.CLOSED:
                return None
