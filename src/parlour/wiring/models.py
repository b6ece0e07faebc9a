"""From settings to models: who is set up, who may be chosen, and who does the small work."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from parlour import __version__
from parlour.features.assistants.models import Allowed, Models, Terms
from parlour.infra.observability.metrics import Metrics
from parlour.infra.web.outbound import Session, open_session
from parlour.llm.cost import Price, Prices
from parlour.llm.embeddings import Embedder
from parlour.llm.model import Model
from parlour.llm.orchestra.breakers import Breakers
from parlour.llm.orchestra.cached import ResponseCache
from parlour.llm.orchestra.fallback import Orchestra
from parlour.llm.orchestra.profile import Profile, profile_of
from parlour.llm.orchestra.routing import Candidate, Policy
from parlour.llm.orchestra.tasks import Task
from parlour.llm.providers.anthropic import Anthropic
from parlour.llm.providers.builtin import BuiltinModel
from parlour.llm.providers.gemini import Gemini
from parlour.llm.providers.ollama import DEFAULT_BASE_URL as OLLAMA_ADDRESS
from parlour.llm.providers.ollama import Ollama
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.timeouts import Timeouts
from parlour.settings import Settings
from parlour.settings.choosing import listed
from parlour.settings.naming import aliases, carried, given_prices, named_models
from parlour.settings.providers import ProviderSettings
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.errors import ParlourError
from parlour.wiring.embedders import build_embedders
from parlour.wiring.finding import ASKING_SECONDS, Finder

LOOK_AGAIN_SECONDS = 60.0  # a server on one's own machine comes and goes

_log = structlog.get_logger(__name__)


class ModelShelf:
    """The models that the settings name, and those that are found."""

    def __init__(self, settings: Settings, metrics: Metrics, *, allowed: Allowed, breakers: Breakers) -> None:
        """Read the settings; nothing is opened yet."""
        self._settings = settings
        limits = settings.models
        self._timeouts = Timeouts(
            limits.connect_timeout, limits.first_token_timeout, limits.stall_timeout, limits.total_timeout
        )
        self.prices = prices = Prices(
            {name: Price(**given.model_dump()) for name, given in given_prices(settings).items()}
        )
        self.heard = _heard(metrics)
        self._orchestra = Orchestra(
            breakers=breakers,
            prices=prices,
            timeouts=self._timeouts,
            cache=_cache(settings),
            heard=self.heard,
        )
        self._session: Session | None = None
        self._finder: Finder | None = None
        self._found: tuple[tuple[str, str], ...] | None = None
        self._told: dict[str, Profile] = {}
        self.models = Models(
            self._orchestra,
            policy=_policy(settings),
            prices=prices,
            terms=Terms(
                limits.reply_tokens,
                limits.cost_ceiling,
                cached=settings.cache.enabled,
            ),
            allowed=allowed,
            aliases=aliases(settings),
        )
        self.embedders: list[Embedder] = []

    def named(self, name: str) -> str:
        """Return a provider or a model, as the operator writes it, by the name that the models carry."""
        return carried(self._settings, name)

    @property
    def silent(self) -> dict[str, str]:
        """Say of each server that is set up and tells of no model why that is so."""
        return {} if self._finder is None else self._finder.silent

    async def open(self, closing: AsyncExitStack) -> Session:
        """Begin with the models that there are by now; return the client of all calls."""
        self._session = open_session(user_agent=f"parlour/{__version__}")
        closing.push_async_callback(self._session.close)
        self._finder = Finder(self._settings, self._session)
        self.embedders = build_embedders(
            self._settings, self._session, self._timeouts, named=self.named, ollama=OLLAMA_ADDRESS
        )
        await self.look()
        return self._session

    async def look(self) -> None:
        """Ask the servers that have no model named for theirs, and put everybody on the shelf."""
        assert self._finder is not None  # noqa: S101 - made when the session was
        found = await self._finder.find()
        if found == self._found:
            return
        self._found = found
        pairs = self._in_order(found)
        self._told = await self._what_ollama_knows([name for section, name in pairs if section == "ollama"])
        candidates = [self._candidate(section, name) for section, name in pairs]
        builtin = BuiltinModel()
        candidates.append(Candidate(builtin, profile_of(builtin.provider, builtin.name)))
        self.models.fill(candidates, self._small_work(dict(reversed(list(pairs)))))

    def _in_order(self, found: Sequence[tuple[str, str]]) -> dict[tuple[str, str], None]:
        """Return all models, the usual one of each provider before its others.

        A model that only a choice names comes after those that were found: it is not the usual one.
        """
        named = named_models(self._settings)
        own = [pair for pair in named if pair[1] in self._section(pair[0]).offered]
        return dict.fromkeys([*own, *found, *named])

    async def keep_looking(self) -> None:
        """Look again and again, where there is something to find."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            await self.look()

    def _small_work(self, defaults: dict[str, str]) -> list[Candidate]:
        """Return the small models, the usual provider's first; none where the built-in one is wanted."""
        if self._settings.models.default_provider == "builtin":
            return []
        order = sorted(defaults, key=lambda section: section != self._settings.provider)
        names = {
            section: (self._section(section).model_for_small_work or defaults[section]) for section in order
        }
        small = [self._candidate(section, name) for section, name in names.items()]
        if not self._settings.has_budgets:
            return small
        return [each for each in small if self.prices.price_of(each.model.provider, each.model.name)]

    def _section(self, name: str) -> ProviderSettings:
        section: ProviderSettings = getattr(self._settings, name)
        return section

    def _candidate(self, section: str, name: str) -> Candidate:
        model = self._model(section, name)
        return Candidate(model, profile_of(model.provider, model.name, self._told))

    def _model(self, section: str, name: str) -> Model:
        assert self._session is not None  # noqa: S101 - opened before anything is looked for
        settings = self._section(section)
        kind = _KINDS[section]
        return kind(
            session=self._session,
            base_url=settings.base_url or OLLAMA_ADDRESS,
            api_key=settings.api_key.get_secret_value() if settings.api_key else "",
            model=name,
            timeouts=self._timeouts,
            **({} if section == "openai" else {"provider": section}),
        )

    async def _what_ollama_knows(self, names: Sequence[str]) -> dict[str, Profile]:
        """Ask Ollama what its models can do: it knows better than their names tell."""
        models = [model for name in names if isinstance(model := self._model("ollama", name), Ollama)]
        told = await asyncio.gather(*map(_profile, models))
        return {
            f"{model.provider}/{model.name}": profile
            for model, profile in zip(models, told, strict=True)
            if profile
        }


async def _profile(model: Ollama) -> Profile | None:
    """Return what Ollama says about a model; None while it says nothing."""
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            able = await model.abilities()
    except (ParlourError, TimeoutError):
        return None
    if able.context_tokens is None:
        return None
    # Half of the context for the answer: the question needs the other half. JSON it forces on any model.
    half = able.context_tokens // 2
    return Profile(able.context_tokens, half, tools=able.tools, images=able.images, structured=True)


_KINDS: dict[str, Callable[..., Model]] = {
    "openai": OpenAICompatible,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "compatible": OpenAICompatible,
    "ollama": Ollama,
}


def _cache(settings: Settings) -> ResponseCache | None:
    wanted = settings.cache
    if not wanted.enabled:
        return None
    return ResponseCache(most_bytes=wanted.megabytes * 1_000_000, seconds=wanted.seconds)


def _policy(settings: Settings) -> Policy:
    models = settings.models

    def known(value: str) -> list[str]:
        return [carried(settings, name) for name in listed(value)]

    default = models.default_provider
    return Policy(
        default_provider=None if default is None else carried(settings, default),
        tasks={
            Task.CODE: known(models.task_code),
            Task.CREATIVE: known(models.task_creative),
            Task.ANALYSIS: known(models.task_analysis),
            Task.GENERAL: known(models.task_general),
        },
        fallback=known(models.fallback),
    )


def _heard(metrics: Metrics) -> Callable[[Attempt], None]:
    """Return what is told of every call: a reader is not told of one that failed while another steps in."""

    def heard(attempt: Attempt) -> None:
        metrics.attempt(attempt)
        if attempt.status is AttemptStatus.FAILED:
            _log.warning(
                "model_call_failed",
                provider=attempt.provider,
                model=attempt.model,
                code=attempt.error,
                cause=attempt.cause,
                why=attempt.why,
            )

    return heard
