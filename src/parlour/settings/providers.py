"""Settings of the providers of language models, and of how one of their models is chosen."""

from decimal import Decimal
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from parlour.settings.declaring import Section, setting

PROVIDERS = ("openai", "anthropic", "gemini", "compatible", "ollama", "builtin")

EMBEDDING_PROVIDERS = ("openai", "gemini", "compatible", "ollama")


def listed(value: str) -> tuple[str, ...]:
    """Return the names in a list that is parted by commas."""
    return tuple(filter(None, (part.strip() for part in value.split(","))))


class ModelSettings(Section):
    """Which model answers, and how long it may take."""

    default_provider: str | None = setting(
        None,
        env="PARLOUR_DEFAULT_PROVIDER",
        meaning=(
            "The provider whose model answers, whatever the task: `openai`, `anthropic`, `gemini`, "
            "`compatible`, `ollama` or `builtin`. Unset: chosen by the task of each message."
        ),
        example="openai",
    )
    task_code: str = setting(
        "anthropic",
        env="PARLOUR_TASK_CODE",
        meaning="Who writes and explains code: providers, or models as `provider/model`, best first.",
        example="anthropic, openai/gpt-6.1-terra",
    )
    task_creative: str = setting(
        "openai",
        env="PARLOUR_TASK_CREATIVE",
        meaning="Who writes stories, poems and advertising.",
        example="openai",
    )
    task_analysis: str = setting(
        "",
        env="PARLOUR_TASK_ANALYSIS",
        meaning="Who compares, calculates and evaluates. Empty: as for everything else.",
        example="openai",
    )
    task_general: str = setting(
        "gemini",
        env="PARLOUR_TASK_GENERAL",
        meaning="Who answers everything else.",
        example="gemini",
    )
    fallback: str = setting(
        "openai, anthropic, gemini, compatible, ollama",
        env="PARLOUR_FALLBACK",
        meaning=(
            "Who answers when the chosen model cannot, in this order; `none` for nobody. The built-in "
            "answerer steps in only if it is named here."
        ),
        example="openai, anthropic, builtin",
    )
    embedding_models: str = setting(
        "",
        env="PARLOUR_EMBEDDING_MODEL",
        meaning=(
            "Models that turn texts into vectors, as `provider/model`, best first. Unset: "
            "`openai/text-embedding-3-small` and `gemini/gemini-embedding-2`, where their keys are given."
        ),
        example="ollama/nomic-embed-text",
    )
    reply_tokens: int = setting(
        8_192,
        env="PARLOUR_REPLY_TOKENS",
        meaning="Longest reply in tokens, thinking included.",
        example="8192",
        ge=16,
        le=1_000_000,
    )
    cost_ceiling: Decimal | None = setting(
        None,
        env="PARLOUR_COST_CEILING",
        meaning="Most US dollars that one answer may cost at worst; dearer models are passed over.",
        example="0.25",
        gt=0,
    )
    connect_timeout: float = setting(
        5.0,
        env="PARLOUR_CONNECT_TIMEOUT",
        meaning="Seconds to reach the provider.",
        example="5",
        gt=0,
        le=60,
    )
    first_token_timeout: float = setting(
        30.0,
        env="PARLOUR_FIRST_TOKEN_TIMEOUT",
        meaning="Seconds until the model must begin to answer.",
        example="30",
        gt=0,
        le=600,
    )
    stall_timeout: float = setting(
        30.0,
        env="PARLOUR_STALL_TIMEOUT",
        meaning="Longest silence in seconds in the middle of an answer.",
        example="30",
        gt=0,
        le=600,
    )
    total_timeout: float = setting(
        600.0,
        env="PARLOUR_TOTAL_TIMEOUT",
        meaning="Longest time in seconds for a whole answer, all attempts together.",
        example="600",
        gt=0,
        le=3600,
    )

    @field_validator("default_provider")
    @classmethod
    def _check_provider(cls, value: str | None) -> str | None:
        if value is not None and value not in PROVIDERS:
            raise ValueError(f"must be one of {', '.join(PROVIDERS)}")
        return value

    @field_validator("embedding_models")
    @classmethod
    def _check_embedding_models(cls, value: str) -> str:
        for each in listed(value):
            provider, _, model = each.partition("/")
            if provider not in EMBEDDING_PROVIDERS or not model:
                raise ValueError(
                    f"names {each!r}; each must be one of {', '.join(EMBEDDING_PROVIDERS)} with /model"
                )
        return value

    @field_validator("task_code", "task_creative", "task_analysis", "task_general", "fallback")
    @classmethod
    def _check_names(cls, value: str) -> str:
        for each in listed(value):
            if each.partition("/")[0] not in (*PROVIDERS, "none"):
                raise ValueError(f"names {each!r}; each must begin with one of {', '.join(PROVIDERS)}")
        return value


class CacheSettings(Section):
    """Answers that are given again to who asks exactly the same."""

    enabled: bool = setting(
        default=False,
        env="PARLOUR_CACHE",
        meaning=(
            "Whether an answer is given again when the whole prompt is the same. It stays with its person "
            "unless the prompt is a first question without personal data."
        ),
        example="on",
    )
    seconds: int = setting(
        3600, env="PARLOUR_CACHE_SECONDS", meaning="How long an answer is kept.", example="3600", ge=1
    )
    megabytes: int = setting(
        16,
        env="PARLOUR_CACHE_MEGABYTES",
        meaning="How much memory kept answers may take.",
        example="16",
        ge=1,
        le=16_384,
    )


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
