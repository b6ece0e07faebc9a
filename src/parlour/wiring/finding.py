"""Servers that are asked which models they have: an Ollama, and a compatible one that none is named for."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from parlour.infra.web.outbound import Session
from parlour.llm.providers.ollama import Ollama, find
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.settings import Settings
from parlour.settings.providers import ProviderSettings
from parlour.vocabulary.errors import ProviderError

ASKING_SECONDS = 2.0  # for the names of a server's models

_log = structlog.get_logger(__name__)


class Finder:
    """Finds models. ``silent`` says of each server that was named and tells of none why that is so."""

    def __init__(self, settings: Settings, session: Session) -> None:
        """Ask over ``session``."""
        self._settings = settings
        self._session = session
        self.silent: dict[str, str] = {}

    async def find(self) -> tuple[tuple[str, str], ...]:
        """Return the models that were found, as section and name."""
        found = await asyncio.gather(self._ollama(), self._compatible())
        return tuple(pair for pairs in found for pair in pairs)

    async def _ollama(self) -> list[tuple[str, str]]:
        settings = self._settings.ollama
        if settings.base_url is None:
            return _pairs("ollama", await find(self._session)) if settings.find else []
        listed = await self._listed("ollama", Ollama(**self._address(settings)))
        if settings.model is not None:
            return []  # it has the one that is named for it, whatever else it has
        # Without a key Ollama itself tells which of them can talk.
        talkers = listed and not settings.api_key and await find(self._session, settings.base_url)
        return _pairs("ollama", talkers or (listed if settings.api_key else []))

    async def _compatible(self) -> list[tuple[str, str]]:
        settings = self._settings.compatible
        if settings.base_url is None or settings.model is not None:
            return []
        model = OpenAICompatible(**self._address(settings), provider="compatible")
        return _pairs("compatible", await self._listed("compatible", model))

    async def _listed(self, section: str, model: Ollama | OpenAICompatible) -> list[str]:
        """Return the models that a server lists, and remember when it lists none."""
        try:
            async with asyncio.timeout(ASKING_SECONDS):
                names = await model.models()
        except ProviderError as error:
            self._complain(section, error.cause or error.code)
            return []
        except TimeoutError:
            self._complain(section, f"no answer within {ASKING_SECONDS:g} s")
            return []
        if names:
            self.silent.pop(section, None)
        else:
            self._complain(section, "it has no models")
        return names

    def _address(self, settings: ProviderSettings) -> dict[str, Any]:
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        return {"session": self._session, "base_url": settings.base_url, "api_key": key, "model": "any"}

    def _complain(self, section: str, cause: str) -> None:
        """Log a server that says nothing when it begins to: it is asked every minute."""
        if section not in self.silent:
            _log.warning("models_not_listed", provider=section, cause=cause)
        self.silent[section] = cause


def _pairs(section: str, names: Sequence[str]) -> list[tuple[str, str]]:
    return [(section, name) for name in names]
