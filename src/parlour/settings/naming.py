"""What models are called. The name of a section stands for whoever answers at its address.

``openai`` at another address than OpenAI's own is another server, whose models carry another name: their
prices and abilities are not OpenAI's. An operator may still write ``openai/…`` wherever a model is named.
"""

from collections.abc import Iterator

from parlour.settings.choosing import ModelSettings, listed
from parlour.settings.limits import PriceSettings
from parlour.settings.model import Settings
from parlour.settings.providers import ProviderSettings

ELSEWHERE = "openai_compatible"
# What each provider's makers recommend for texts; elsewhere nobody knows what a server has.
_EMBEDDING_DEFAULTS = {"openai": "text-embedding-3-small", "gemini": "gemini-embedding-2"}
_CHOICES = ("task_code", "task_creative", "task_analysis", "task_general", "fallback")


def aliases(settings: Settings) -> dict[str, str]:
    """Return the sections whose models carry another name than their section, with that name."""
    return {} if settings.openai.own_address else {"openai": ELSEWHERE}


def carried(settings: Settings, name: str) -> str:
    """Return a provider, a ``provider/model`` or a pattern of them as the models themselves are called."""
    provider, slash, model = name.partition("/")
    return aliases(settings).get(provider, provider) + slash + model


def chosen_names(models: ModelSettings) -> Iterator[tuple[str, str]]:
    """Yield every name in the task map and the fallback order, each after the setting it stands in."""
    for choice in _CHOICES:
        for name in listed(getattr(models, choice)):
            yield choice, name


def named_models(settings: Settings) -> list[tuple[str, str]]:
    """Return the models of the providers that are set up, as section and name, each once.

    Those of a provider's own settings come first, then those that a choice among models names.
    """
    own = [(section, name) for section, each in settings.providers.items() for name in each.offered]
    parted = [name.partition("/") for _, name in chosen_names(settings.models)]
    chosen = [(section, name) for section, _, name in parted if name and section in settings.providers]
    return list(dict.fromkeys([*own, *chosen]))


def embedding_models(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the models that turn texts into vectors and are set up, as section and name, best first."""
    names = listed(settings.models.embedding_models)
    wanted = [name.partition("/")[::2] for name in names] or list(_EMBEDDING_DEFAULTS.items())
    for section, model in wanted:
        given: ProviderSettings = getattr(settings, section)
        # An Ollama on this machine needs no setting to be there.
        if (given.configured or section == "ollama") and (names or given.own_address):
            yield section, model


def given_prices(settings: Settings) -> dict[str, PriceSettings]:
    """Return the operator's prices by ``provider/model`` as the models are called.

    One that is given under a model's own name wins over one under another name of it.
    """
    return {carried(settings, name): price for name, price in settings.prices.items()} | settings.prices
