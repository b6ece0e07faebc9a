"""Settings of how a model is chosen, how long it may take, and whose answers are kept."""

from decimal import Decimal

from pydantic import field_validator

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
            "`openai/text-embedding-3-small` and `gemini/gemini-embedding-2`, where their keys are given and "
            "`OPENAI_BASE_URL` or `GEMINI_BASE_URL` names no other server."
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
