"""Settings that hold and still do nothing: names of models that are not set up."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from parlour.settings.declaring import environment_name
from parlour.settings.loading import table_name
from parlour.settings.model import Settings
from parlour.settings.naming import carried, chosen_names, embedding_models, named_models


def without_effect(settings: Settings) -> Iterator[str]:
    """Yield a line, with the remedy, for every name of a model that matches nothing that is set up."""
    names = _Names(settings)
    for plan, given in settings.plans.items():
        for pattern in given.models:
            if not names.matches(pattern):
                where = table_name("plans", plan, "models")
                yield f"{where} names {pattern!r}, but no such model is set up. {_REMEDY}"
    for name in settings.prices:
        if not names.matches(name):
            yield f"{table_name('prices', name)} is the price of no model that is set up. {_REMEDY}"
    for choice, name in chosen_names(settings.models):
        # The map that comes with Parlour names providers that not everybody has.
        if choice in settings.models.model_fields_set and not names.provides(name):
            where = environment_name(settings.models, choice)
            yield f"{where} names {name!r}, but that provider is not set up. Give its key, or leave it out."


_REMEDY = "Mend the name, or set that model up."


class _Names:
    """The models that are set up, and the providers of which nobody can say yet what they have."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        small = [
            (section, name)
            for section, each in settings.providers.items()
            if (name := each.model_for_small_work) is not None
        ]
        pairs = [*named_models(settings), *small, *embedding_models(settings)]
        self._known = {carried(settings, f"{section}/{name}") for section, name in pairs}
        self._open = set(_open(settings))

    def matches(self, pattern: str) -> bool:
        """Tell whether a name or a pattern with ``*`` may mean a model of this server."""
        pattern = carried(self._settings, pattern)
        provider, slash, _ = pattern.partition("/")
        return any(fnmatchcase(ref, pattern) for ref in self._known) or any(
            fnmatchcase(each, provider) if slash else fnmatchcase(f"{each}/", pattern) for each in self._open
        )

    def provides(self, name: str) -> bool:
        """Tell whether the provider of a name is set up, or may be found."""
        return name == "none" or name.partition("/")[0] in {*self._settings.providers, *self._open}


def _open(settings: Settings) -> Iterator[str]:
    yield "builtin"
    ollama, compatible = settings.ollama, settings.compatible
    if ollama.model is None and (ollama.configured or ollama.find):
        yield "ollama"
    if compatible.configured and compatible.model is None:
        yield "compatible"
