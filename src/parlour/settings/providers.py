"""Settings of the providers of language models."""

from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from parlour.settings.choosing import listed
from parlour.settings.declaring import Section, setting


class ProviderSettings(Section):
    """What every provider has; ``base_url`` and ``model`` are declared by each."""

    default_small_model: ClassVar[str | None] = None

    api_key: SecretStr | None = None
    base_url: str | None = None
    model: str | None = None
    small_model: str | None = None
    more_models: str = ""

    @field_validator("base_url", check_fields=False)
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a whole address beginning with https:// or http://")
        return value.rstrip("/")

    @property
    def configured(self) -> bool:
        """Tell whether this provider is there: it has a key, or is another server than the maker's own."""
        return self.api_key is not None or not self.own_address

    @property
    def own_address(self) -> bool:
        """Tell whether the address is the one that comes with Parlour."""
        return bool(self.base_url == type(self).model_fields["base_url"].default)

    @property
    def model_for_small_work(self) -> str | None:
        """Return the model for titles and the like."""
        return self.small_model or (self.default_small_model if self.own_address else None) or self.model

    @property
    def offered(self) -> tuple[str, ...]:
        """Return every model that may be chosen, the one that answers by default first."""
        names = (self.model, self.small_model or "", *listed(self.more_models))
        return tuple(dict.fromkeys(name for name in names if name))


class OpenAISettings(ProviderSettings):
    """OpenAI, or any server that speaks its protocol."""

    default_small_model = "gpt-6-luna"

    api_key: SecretStr | None = setting(
        None,
        env="OPENAI_API_KEY",
        meaning="Key of the provider.",
        example="sk-…",
    )
    base_url: str = setting(
        "https://api.openai.com/v1",
        env="OPENAI_BASE_URL",
        meaning="Where the provider is. Any OpenAI-compatible server works, also without a key.",
        example="http://127.0.0.1:11434/v1",
    )
    model: str = setting(
        "gpt-6.1-terra",
        env="OPENAI_MODEL",
        meaning="Model that answers.",
        example="gpt-6.1-terra",
        min_length=1,
        max_length=200,
    )
    small_model: str | None = setting(
        None,
        env="OPENAI_SMALL_MODEL",
        meaning="Model for small work such as titles. Unset: `gpt-6-luna`, elsewhere the one that answers.",
        example="gpt-6-luna",
        min_length=1,
        max_length=200,
    )
    more_models: str = setting(
        "",
        env="OPENAI_MODELS",
        meaning="More models that people may choose, parted by commas.",
        example="gpt-6.1-terra",
    )


class AnthropicSettings(ProviderSettings):
    """Anthropic and its Claude models."""

    default_small_model = "claude-haiku-5-5"

    api_key: SecretStr | None = setting(
        None,
        env="ANTHROPIC_API_KEY",
        meaning="Key of Anthropic.",
        example="sk-ant-…",
    )
    base_url: str = setting(
        "https://api.anthropic.com",
        env="ANTHROPIC_BASE_URL",
        meaning="Where Anthropic is, without `/v1`.",
        example="https://api.anthropic.com",
    )
    model: str = setting(
        "claude-sonnet-5-5",
        env="ANTHROPIC_MODEL",
        meaning="Claude model that answers.",
        example="claude-sonnet-5-5",
        min_length=1,
        max_length=200,
    )
    small_model: str | None = setting(
        None,
        env="ANTHROPIC_SMALL_MODEL",
        meaning="Claude model for small work such as titles. Unset: `claude-haiku-5-5`.",
        example="claude-sonnet-5-5",
        min_length=1,
        max_length=200,
    )
    more_models: str = setting(
        "",
        env="ANTHROPIC_MODELS",
        meaning="More models that people may choose, parted by commas.",
        example="claude-sonnet-5-5",
    )


class GeminiSettings(ProviderSettings):
    """Google and its Gemini models."""

    default_small_model = "gemini-3.5-flash-lite"

    api_key: SecretStr | None = setting(
        None,
        env="GEMINI_API_KEY",
        also=("GOOGLE_API_KEY", "GOOGLE_AI_API_KEY"),
        meaning="Key of Google AI. `GOOGLE_API_KEY` and `GOOGLE_AI_API_KEY` are read, too.",
        example="AIza…",
    )
    base_url: str = setting(
        "https://generativelanguage.googleapis.com",
        env="GEMINI_BASE_URL",
        meaning="Where the Gemini API is, without its version.",
        example="https://generativelanguage.googleapis.com",
    )
    model: str = setting(
        "gemini-3.8-flash",
        env="GEMINI_MODEL",
        meaning="Gemini model that answers.",
        example="gemini-3.8-flash",
        min_length=1,
        max_length=200,
    )
    small_model: str | None = setting(
        None,
        env="GEMINI_SMALL_MODEL",
        meaning="Gemini model for small work such as titles. Unset: `gemini-3.5-flash-lite`.",
        example="gemini-3.8-flash",
        min_length=1,
        max_length=200,
    )
    more_models: str = setting(
        "",
        env="GEMINI_MODELS",
        meaning="More models that people may choose, parted by commas.",
        example="gemini-3.8-flash",
    )


class OllamaSettings(ProviderSettings):
    """Models on a machine of your own, by Ollama."""

    find: bool = setting(
        default=True,
        env="PARLOUR_FIND_OLLAMA",
        meaning="Whether to look for an Ollama on this machine when `OLLAMA_BASE_URL` is not set.",
        example="off",
    )
    api_key: SecretStr | None = setting(
        None,
        env="OLLAMA_API_KEY",
        meaning="Key of an Ollama behind a gateway; Ollama itself wants none.",
        example="secret",
    )
    base_url: str | None = setting(
        None,
        env="OLLAMA_BASE_URL",
        meaning="Where Ollama is. Unset: looked for at `http://127.0.0.1:11434`.",
        example="http://127.0.0.1:11434",
    )
    model: str | None = setting(
        None,
        env="OLLAMA_MODEL",
        meaning="Model that answers. Unset: the first one that Ollama has.",
        example="llama3.2",
        min_length=1,
        max_length=200,
    )
    small_model: str | None = setting(
        None,
        env="OLLAMA_SMALL_MODEL",
        meaning="Model for small work. Unset: the one that answers.",
        example="llama3.2",
        min_length=1,
        max_length=200,
    )
    more_models: str = setting(
        "",
        env="OLLAMA_MODELS",
        meaning="More models that people may choose, parted by commas.",
        example="llama3.2",
    )


class CompatibleSettings(ProviderSettings):
    """One more server that speaks the OpenAI protocol, beside OpenAI itself."""

    api_key: SecretStr | None = setting(
        None,
        env="PARLOUR_COMPATIBLE_API_KEY",
        meaning="Key of that server, if it wants one.",
        example="secret",
    )
    base_url: str | None = setting(
        None,
        env="PARLOUR_COMPATIBLE_BASE_URL",
        meaning="Where it is, with its version.",
        example="http://127.0.0.1:8080/v1",
    )
    model: str | None = setting(
        None,
        env="PARLOUR_COMPATIBLE_MODEL",
        meaning="Model that answers. Unset: the first one that the server lists.",
        example="qwen3-32b",
        min_length=1,
        max_length=200,
    )
    small_model: str | None = setting(
        None,
        env="PARLOUR_COMPATIBLE_SMALL_MODEL",
        meaning="Model for small work. Unset: the one that answers.",
        example="qwen3-32b",
        min_length=1,
        max_length=200,
    )
    more_models: str = setting(
        "",
        env="PARLOUR_COMPATIBLE_MODELS",
        meaning="More models that people may choose, parted by commas.",
        example="qwen3-32b",
    )
