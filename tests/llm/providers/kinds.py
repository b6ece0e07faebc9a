"""The providers that the contract suite is about, each with the fake that speaks as it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from parlour.llm.model import Model
from parlour.llm.providers.anthropic import Anthropic
from parlour.llm.providers.gemini import Gemini
from parlour.llm.providers.ollama import Ollama
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.llm.timeouts import Timeouts
from tests.fakes import anthropic_wire, chat_wire, gemini_wire, ollama_wire


class Provider(Model, Protocol):
    """A model of a provider that can be asked what it has."""

    async def models(self) -> list[str]:
        """Return the ids of the models on offer."""
        ...


class Adapter(Protocol):
    """What all adapters take."""

    def __call__(
        self,
        *,
        session: aiohttp.ClientSession,
        model: str,
        api_key: str,
        base_url: str,
        timeouts: Timeouts | None,
        provider: str,
    ) -> Provider:
        """Return a model."""
        ...


class MakeModel(Protocol):
    """Make an adapter for the fake provider."""

    def __call__(
        self, name: str = ..., *, timeouts: Timeouts = ..., base_url: str = ..., api_key: str = ...
    ) -> Provider:
        """Return an adapter for the model ``name``."""
        ...


@dataclass(frozen=True)
class Kind:
    """One provider."""

    name: str
    adapter: Adapter
    service: str
    """The wire format that its fake speaks."""
    shapes: Mapping[str, str]
    """The odd shapes that its wire may have, each without any effect."""
    call_shapes: Mapping[str, str]
    """The same for tool calls."""
    key: str
    """The header that carries the key; what stands before the key in it."""
    models: tuple[str, ...]
    version: str = ""
    """What an operator's base URL has after the host."""
    one_end: bool = False
    """Its stream has no formal end beside the finish reason."""
    tells_of_cache: bool = True
    """It counts what it had in its cache."""
    chooses_tools: bool = True
    """It can be told whether to call tools, and which."""

    def base_url(self, root: str) -> str:
        """Return the base URL of the fake at ``root``."""
        return root + self.version

    def __str__(self) -> str:
        """Name the test after it."""
        return self.name


OPENAI = Kind(
    "openai",
    OpenAICompatible,
    "openai",
    chat_wire.SHAPES,
    chat_wire.CALL_SHAPES,
    "authorization: Bearer ",
    chat_wire.MODELS,
    version="/v1",
)
COMPATIBLE = Kind(
    "compatible",
    OpenAICompatible,
    "openai",
    chat_wire.SHAPES,
    chat_wire.CALL_SHAPES,
    "authorization: Bearer ",
    chat_wire.MODELS,
    version="/v1",
)
ANTHROPIC = Kind(
    "anthropic",
    Anthropic,
    "anthropic",
    anthropic_wire.SHAPES,
    anthropic_wire.CALL_SHAPES,
    "x-api-key: ",
    anthropic_wire.MODELS,
)
GEMINI = Kind(
    "gemini",
    Gemini,
    "gemini",
    gemini_wire.SHAPES,
    gemini_wire.CALL_SHAPES,
    "x-goog-api-key: ",
    gemini_wire.MODELS,
    one_end=True,
)

OLLAMA = Kind(
    "ollama",
    Ollama,
    "ollama",
    ollama_wire.SHAPES,
    ollama_wire.CALL_SHAPES,
    "authorization: Bearer ",
    ollama_wire.MODELS,
    one_end=True,
    tells_of_cache=False,
    chooses_tools=False,
)

KINDS = (OPENAI, COMPATIBLE, ANTHROPIC, GEMINI, OLLAMA)
