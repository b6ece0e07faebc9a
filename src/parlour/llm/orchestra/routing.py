"""Who answers: the person's wish, else the operator's default, else whoever suits the task (M-3).

A choice is made for one message from what is known before any call: what the message needs, what the models
can, what they cost, and how they did lately. It comes with a sentence for people, and names who was passed
over. Nothing here waits or calls anybody; a choice takes some 20 µs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from parlour.llm.cost import Prices
from parlour.llm.counting import counter_of
from parlour.llm.model import Model
from parlour.llm.orchestra.breaker import Breaker, Record, State
from parlour.llm.orchestra.breakers import Breakers
from parlour.llm.orchestra.profile import Profile
from parlour.llm.orchestra.tasks import Task, task_of
from parlour.vocabulary.errors import (
    ContextTooLong,
    Forbidden,
    ModelMissing,
    ParlourError,
    TooExpensive,
)

AUTOMATIC = "auto"
NOBODY = "none"
BUILTIN = "builtin"

# An answer needs some room beside the question.
LEAST_ROOM = 512
# Who failed so many of so many calls lately is asked after its equals.
TROUBLED_SHARE, TROUBLED_CALLS = 0.25, 4
# Who takes so much longer to the first word than the quickest, and longer than this at all, is asked later.
SLOW_TIMES, SLOW_SECONDS = 4.0, 2.0

LABELS: Mapping[str, str] = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "ollama": "Ollama",
    "compatible": "Our own server",
    "openai_compatible": "Our own server",
    "builtin": "The built-in answerer",
}
_TASK_WORDS = {
    Task.CODE: "Code questions go",
    Task.CREATIVE: "Creative writing goes",
    Task.ANALYSIS: "Analysis goes",
    Task.GENERAL: "General questions go",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be asked, and what it can."""

    model: Model
    profile: Profile

    @property
    def ref(self) -> str:
        """Its id: ``provider/name``."""
        return f"{self.model.provider}/{self.model.name}"

    @property
    def label(self) -> str:
        """Its provider as people know it."""
        return LABELS.get(self.model.provider, self.model.provider)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one message asks for.

    ``model`` is an id, a provider, a bare model name, ``auto`` or None. ``ceiling`` is the most US dollars
    that the answer may cost; ``priced`` passes over models of unknown price, as a budget of money demands.
    ``allowed`` holds ids and providers that the person's plan has; None means all.
    """

    model: str | None = None
    text: str = ""
    tools: bool = False
    images: bool = False
    streaming: bool = False
    prompt_tokens: int = 0
    max_tokens: int = 0
    ceiling: Decimal | None = None
    priced: bool = False
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Who would have been asked sooner, and why it was not."""

    provider: str
    model: str
    why: str

    @property
    def ref(self) -> str:
        """Its id: ``provider/name``."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is asked, in this order, and why the first one is. Those that rest now come last."""

    candidates: tuple[Candidate, ...]
    why: str
    task: Task = Task.GENERAL
    passed_over: tuple[PassedOver, ...] = ()
    prompt_tokens: int = 0

    @property
    def models(self) -> list[tuple[str, str]]:
        """Everybody who may be asked, by provider and name."""
        return [(each.model.provider, each.model.name) for each in self.candidates]

    @property
    def first(self) -> Candidate:
        """Who answers if nothing goes wrong."""
        return self.candidates[0]


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's preferences; all names are providers or ``provider/model``, best first.

    ``fallback`` with ``none`` in it means that nobody steps in.
    """

    default_provider: str | None = None
    tasks: Mapping[Task, Sequence[str]] = field(default_factory=dict)
    fallback: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Preferred:
    candidate: Candidate
    why: str


class Router:
    """Chooses among the models that are set up; the first candidate of a provider is its default."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        policy: Policy | None = None,
        *,
        breakers: Breakers | None = None,
        prices: Prices | None = None,
    ) -> None:
        """Know ``candidates``; ``breakers`` tell who rests and how everybody did lately."""
        self.candidates = tuple(candidates)
        self._policy = policy or Policy()
        self._breakers = breakers or Breakers()
        self._prices = prices or Prices()
        self._refs = {candidate.ref: candidate for candidate in reversed(self.candidates)}
        self._names = {candidate.model.name: candidate for candidate in reversed(self.candidates)}
        self._defaults = {candidate.model.provider: candidate for candidate in reversed(self.candidates)}
        self._order = {name: place for place, name in enumerate(self._policy.fallback)}
        self._stand_ins = self._all_stand_ins()
        for candidate in self.candidates:
            # Loading a vocabulary takes a tenth of a second: now, and not while answers stream.
            counter_of(candidate.model.provider, candidate.model.name)

    def find(self, name: str | None) -> Candidate | None:
        """Return the candidate that a wish names; None for ``auto`` and for what is not here."""
        if name is None or name == AUTOMATIC:
            return None
        return self._refs.get(name) or self._defaults.get(name) or self._names.get(name)

    def offers(self, name: str | None) -> bool:
        """Tell whether a wish could be granted."""
        return name is None or name == AUTOMATIC or self.find(name) is not None

    def allows(self, candidate: Candidate, allowed: frozenset[str] | None) -> bool:
        """Tell whether a plan has this model."""
        return allowed is None or candidate.ref in allowed or candidate.model.provider in allowed

    def choose(self, wish: Wish) -> Choice:
        """Return who answers. Raises what tells best why nobody can."""
        task = task_of(wish.text)
        alone = NOBODY in self._order
        lasting: list[tuple[Candidate, str, type[ParlourError]]] = []
        fit: list[_Preferred] = []
        tired: list[_Preferred] = []
        assumed: list[_Preferred] = []
        passed: list[PassedOver] = []
        for preferred in self._preferred(wish, task):
            candidate = preferred.candidate
            hindrance = self._hindrance(candidate, wish)
            if hindrance is not None:
                words, error = hindrance
                lasting.append((candidate, words, error))
                if error is ContextTooLong and candidate.profile.assumed:
                    assumed.append(preferred)
                if not fit:
                    passed.append(_passed(candidate, words))
            elif alone or (breaker := self._breaker(candidate)).free:
                fit.append(preferred)
            else:
                tired.append(preferred)
                if not fit:
                    passed.append(_passed(candidate, resting(candidate, breaker)))
        able = [*fit, *tired] or assumed
        if not able:
            raise self._nobody(wish, lasting)
        candidates = tuple(each.candidate for each in able)
        if alone:
            candidates = candidates[:1]
        return Choice(
            candidates, self._sentence(able[0], passed, wish), task, tuple(passed), wish.prompt_tokens
        )

    def worst_case_usd(self, of: Candidate | Choice, prompt_tokens: int, max_tokens: int) -> Decimal | None:
        """Return the most that one call, or an answer of a choice, can cost; None where a price is unknown.

        Every candidate of a choice may fail in its turn, after it thought up to the limit that all share, so
        each of them counts with a whole output; those that come later also read what was said before. And
        one call in an answer may be made again after it was paid for nothing: the dearest counts twice.
        No less would do, and no more can happen: what else is asked again had not been taken.
        """
        if isinstance(of, Candidate):
            return self._prices.worst_case_usd(of.model.provider, of.model.name, prompt_tokens, max_tokens)
        total = again = Decimal(0)
        for place, candidate in enumerate(of.candidates):
            provider, name = candidate.model.provider, candidate.model.name
            given = prompt_tokens + (max_tokens if place else 0)
            first = self._prices.worst_case_usd(provider, name, prompt_tokens, max_tokens)
            later = self._prices.worst_case_usd(provider, name, given, max_tokens)
            if first is None or later is None:
                return None
            total += later
            again = max(again, first)
        return total + again

    def _preferred(self, wish: Wish, task: Task) -> Iterable[_Preferred]:
        """Return everybody in the order of preference, each once."""
        seen: set[str] = set()
        for name, why in self._named(wish, task):
            candidate = self.find(name)
            if candidate is not None and candidate.ref not in seen:
                seen.add(candidate.ref)
                yield _Preferred(candidate, why)
        left = [each for each in self._stand_ins if each.ref not in seen]
        for candidate in self._by_history(left):
            why = self._place_of(candidate)
            if candidate is not left[0]:
                why = f"{candidate.label} has answered better lately."
            yield _Preferred(candidate, why)

    def _named(self, wish: Wish, task: Task) -> Iterable[tuple[str, str]]:
        if wish.model is not None:
            yield wish.model, "You asked for it."
        policy = self._policy
        if policy.default_provider is not None:
            yield policy.default_provider, "It is the model that usually answers here."
            return
        names = policy.tasks.get(task) or policy.tasks.get(Task.GENERAL) or ()
        for name in names:
            candidate = self.find(name)
            if candidate is not None:
                yield name, f"{_TASK_WORDS[task]} to {within_sentence(candidate.label)}."

    def _all_stand_ins(self) -> list[Candidate]:
        """Return who may step in: those in the fallback order, then every other default but the built-in."""
        named = [found for name in self._policy.fallback if (found := self.find(name)) is not None]
        others = [each for each in self._defaults.values() if each.model.provider != BUILTIN]
        known = dict.fromkeys([*named, *sorted(others, key=self.candidates.index)])
        return list(known) or list(self.candidates[:1])

    def _by_history(self, candidates: list[Candidate]) -> list[Candidate]:
        """Put those who failed often or were much slower lately behind their equals.

        Who rests keeps the place, so that it is told why it was passed over.
        """
        if len(candidates) < 2:
            return candidates
        breakers = {each.ref: self._breaker(each) for each in candidates}
        records = {ref: breaker.record() for ref, breaker in breakers.items() if breaker.free}
        quickest = min((record.ttft for record in records.values() if record.ttft is not None), default=0.0)
        return sorted(candidates, key=lambda each: _mark(records.get(each.ref), quickest))

    def _place_of(self, candidate: Candidate) -> str:
        if len(self._stand_ins) == 1:
            return "It is the only model that is set up here."
        return f"{candidate.label} is next in the operator's order."

    def _breaker(self, candidate: Candidate) -> Breaker:
        return self._breakers.of(candidate.model.provider, candidate.model.name)

    def _hindrance(self, candidate: Candidate, wish: Wish) -> tuple[str, type[ParlourError]] | None:
        """Return why this model cannot take this message at all."""
        profile, label = candidate.profile, candidate.label
        if not self.allows(candidate, wish.allowed):
            return f"Your plan does not have {candidate.model.name}", Forbidden
        named = profile.unknown and candidate is self.find(wish.model)
        if wish.images and not (profile.images or named):
            return f"{label} cannot look at pictures", ModelMissing
        if wish.tools and not (profile.tools or named):
            return f"{label} cannot use tools", ModelMissing
        if wish.streaming and not profile.streaming:
            return f"{label} cannot answer word by word", ModelMissing
        if wish.prompt_tokens + LEAST_ROOM > profile.context_tokens:
            return f"{label} cannot take that much text", ContextTooLong
        if wish.ceiling is None and not wish.priced:
            return None
        return self._price_hindrance(candidate, wish)

    def _price_hindrance(self, candidate: Candidate, wish: Wish) -> tuple[str, type[ParlourError]] | None:
        longest = min(wish.max_tokens or candidate.profile.output_tokens, candidate.profile.output_tokens)
        worst = self.worst_case_usd(candidate, wish.prompt_tokens, longest)
        if worst is None:
            return f"What {within_sentence(candidate.label)} costs is not known", TooExpensive
        if wish.ceiling is not None and worst > wish.ceiling:
            return f"{candidate.label} could cost more than one answer may", TooExpensive
        return None

    def _sentence(self, chosen: _Preferred, passed: list[PassedOver], wish: Wish) -> str:
        """Say in a sentence why this one answers."""
        over = next((each for each in passed if each.ref != chosen.candidate.ref), None)
        if over is not None:
            first = self._refs[over.ref]
            name = chosen.candidate.label
            if first.model.provider == chosen.candidate.model.provider:
                name = chosen.candidate.model.name
            return f"{over.why}, so {within_sentence(name)} was asked."
        if wish.model is not None and not self.offers(wish.model):
            return f"The model you asked for is no longer here. {chosen.why}"
        return chosen.why

    def _nobody(self, wish: Wish, lasting: list[tuple[Candidate, str, type[ParlourError]]]) -> ParlourError:
        """Return the error that helps most: the one that stopped whoever came furthest."""
        if not lasting:
            return ModelMissing(cause="no model is set up")
        kinds = [error for _, _, error in lasting]
        cause = "; ".join(f"{candidate.ref}: {words}" for candidate, words, _ in lasting)
        if ContextTooLong in kinds:
            return ContextTooLong(cause=cause)
        if TooExpensive in kinds:
            return TooExpensive(cause=cause)
        if ModelMissing in kinds:
            need = "look at pictures" if wish.images else "use tools" if wish.tools else "answer this"
            return ModelMissing(f"No model that is set up here can {need}.", cause=cause)
        return Forbidden("Your plan has none of the models that are set up here.", cause=cause)


def resting(candidate: Candidate, breaker: Breaker) -> str:
    """Say why a model is not asked while its breaker refuses calls."""
    if breaker.state is State.COOLING:
        return f"{candidate.label} takes no more questions for the moment"
    return f"{candidate.label} is not answering at the moment"


def _mark(record: Record | None, quickest: float) -> tuple[bool, bool]:
    if record is None:
        return False, False
    troubled = record.calls >= TROUBLED_CALLS and record.failures >= record.calls * TROUBLED_SHARE
    usual = record.ttft or 0.0
    return troubled, usual > SLOW_SECONDS and usual > SLOW_TIMES * quickest


def _passed(candidate: Candidate, why: str) -> PassedOver:
    return PassedOver(candidate.model.provider, candidate.model.name, why)


def within_sentence(label: str) -> str:
    """Return a label as it stands within a sentence."""
    return label[0].lower() + label[1:] if label.startswith(("The ", "Our ")) else label
