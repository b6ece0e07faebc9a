"""The settings: one frozen, typed model, filled from the environment over one TOML file.

Read by ``app``, ``wiring`` and the command line only; everything else is handed what it needs. Nothing is
read on import: :func:`load` is the way in, and it reports every mistake in words that name the setting.
"""

from parlour.settings.effects import without_effect
from parlour.settings.loading import SettingsError, describe, load, show, weakness
from parlour.settings.model import Settings
from parlour.settings.naming import given_prices, named_models

__all__ = [
    "Settings",
    "SettingsError",
    "describe",
    "given_prices",
    "load",
    "named_models",
    "show",
    "weakness",
    "without_effect",
]
