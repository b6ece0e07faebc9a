"""From settings to models: who is set up, who may be chosen, and who does the small work."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

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
from parlour.llm.providers.ollama import Ollama, find
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.timeouts import Timeouts
from parlour.settings import Settings
from parlour.settings.choosing import listed
from parlour.settings.providers import ProviderSettings
from parlour.vocabulary.errors import ParlourError
from parlour.wiring.embedders import build_embedders

LOOK_AGAIN_SECONDS = 60.0  # a server on one's own machine comes and goes
ASKING_SECONDS = 2.0  # for the names of its models

_log = structlog.get_logger(__name__)


class _Listing(Protocol):
    """A provider that tells which models it has."""

    async def models(self) -> list[str]:
        """Return their names."""
        ...


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
            {name: Price(**given.model_dump()) for name, given in settings.prices.items()}
        )
        self._orchestra = Orchestra(
            breakers=breakers,
            prices=prices,
            timeouts=self._timeouts,
            cache=_cache(settings),
            heard=metrics.attempt,
        )
        self._session: Session | None = None
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
            aliases=_provider_names(settings),
        )
        self.embedders: list[Embedder] = []

    def named(self, provider: str) -> str:
        """Return the name that the models of a section carry."""
        return _provider_names(self._settings).get(provider, provider)

    async def open(self, closing: AsyncExitStack) -> Session:
        """Begin with the models that there are by now; return the client of all calls."""
        self._session = open_session(user_agent=f"parlour/{__version__}")
        closing.push_async_callback(self._session.close)
        self.embedders = build_embedders(
            self._settings, self._session, self._timeouts, named=self.named, ollama=OLLAMA_ADDRESS
        )
        await self.look()
        return self._session

    async def look(self) -> None:
        """Ask the servers that have no model named for theirs, and put everybody on the shelf."""
        found = [pair for pairs in await asyncio.gather(self._ollama(), self._compatible()) for pair in pairs]
        if tuple(found) == self._found:
            return
        self._found = tuple(found)
        named = [
            (section, name) for section, each in self._settings.providers.items() for name in each.offered
        ]
        pairs = dict.fromkeys([*named, *found])
        self._told = await self._what_ollama_knows([name for section, name in pairs if section == "ollama"])
        candidates = [self._candidate(section, name) for section, name in pairs]
        builtin = BuiltinModel()
        candidates.append(Candidate(builtin, profile_of(builtin.provider, builtin.name)))
        self.models.fill(candidates, self._small_work(dict(reversed(list(pairs)))))

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

    async def _ollama(self) -> list[tuple[str, str]]:
        settings = self._settings.ollama
        assert self._session is not None  # noqa: S101 - as above
        if settings.base_url is None and not settings.find:
            return []
        if settings.base_url is None or settings.model is None:
            names = await find(self._session, settings.base_url or OLLAMA_ADDRESS)
            return [("ollama", name) for name in names]
        return []

    async def _what_ollama_knows(self, names: Sequence[str]) -> dict[str, Profile]:
        """Ask Ollama what its models can do: it knows better than their names tell."""
        models = [model for name in names if isinstance(model := self._model("ollama", name), Ollama)]
        told = await asyncio.gather(*map(_profile, models))
        return {
            f"{model.provider}/{model.name}": profile
            for model, profile in zip(models, told, strict=True)
            if profile
        }

    async def _compatible(self) -> list[tuple[str, str]]:
        settings = self._settings.compatible
        if settings.base_url is None or settings.model is not None:
            return []
        asked = self._model("compatible", "any")
        try:
            async with asyncio.timeout(ASKING_SECONDS):
                names = await asked.models() if isinstance(asked, OpenAICompatible) else []
        except (ParlourError, TimeoutError) as error:
            _log.warning("models_not_listed", provider="compatible", cause=repr(error))
            return []
        return [("compatible", name) for name in names]


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
    models, names = settings.models, _provider_names(settings)

    def known(value: str) -> list[str]:
        """Return names as the models carry them: a section's other server has another name than its maker."""
        parts = [each.partition("/") for each in listed(value)]
        return [names.get(provider, provider) + slash + model for provider, slash, model in parts]

    default = models.default_provider
    return Policy(
        default_provider=None if default is None else names.get(default, default),
        tasks={
            Task.CODE: known(models.task_code),
            Task.CREATIVE: known(models.task_creative),
            Task.ANALYSIS: known(models.task_analysis),
            Task.GENERAL: known(models.task_general),
        },
        fallback=known(models.fallback),
    )


def _provider_names(settings: Settings) -> dict[str, str]:
    return {} if settings.openai.own_address else {"openai": "openai_compatible"}
