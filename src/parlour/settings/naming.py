"""What models are called. The name of a section stands for whoever answers at its address.

``openai`` at another address than OpenAI's own is another server, whose models carry another name: their
prices and abilities are not OpenAI's. An operator may still write ``openai/…`` wherever a model is named.
"""

from collections.abc import Iterator

from parlour.settings.choosing import ModelSettings, listed
from parlour.settings.model import Settings

ELSEWHERE = "openai_compatible"
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
