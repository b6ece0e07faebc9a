"""What can be set: one frozen, typed model. Each setting declares its environment name and its meaning."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from parlour.settings.choosing import CacheSettings, ModelSettings
from parlour.settings.declaring import Section, setting
from parlour.settings.limits import BudgetSettings, LimitSettings, PlanSettings, PriceSettings
from parlour.settings.moderation import ModerationSettings
from parlour.settings.providers import (
    AnthropicSettings,
    CompatibleSettings,
    GeminiSettings,
    OllamaSettings,
    OpenAISettings,
    ProviderSettings,
)


class ServerSettings(Section):
    """Where the server listens and how it is reached."""

    host: str = setting(
        "127.0.0.1",
        env="PARLOUR_HOST",
        meaning="Address to listen on; `0.0.0.0` listens on all.",
        example="127.0.0.1",
        min_length=1,
    )
    port: int = setting(
        8000, env="PARLOUR_PORT", meaning="Port to listen on.", example="8000", ge=0, le=65535
    )
    public_url: str | None = setting(
        None,
        env="PARLOUR_PUBLIC_URL",
        meaning="How browsers reach this server. Requests for other hosts are refused. Needed in production.",
        example="https://chat.example.org",
    )
    body_limit: int = setting(
        1024 * 1024,
        env="PARLOUR_BODY_LIMIT",
        meaning="Largest request body in bytes.",
        example="1048576",
        ge=1024,
        le=1024**3,
    )
    drain_seconds: float = setting(
        25.0,
        env="PARLOUR_DRAIN_SECONDS",
        meaning="How long replies in progress may go on after a stop signal; then they are handed over.",
        example="25",
        ge=0,
        le=25,  # with 3 s for connections to close the process is gone within 30 s
        allow_inf_nan=False,
    )

    trusted_proxies: str = setting(
        "",
        env="PARLOUR_TRUSTED_PROXIES",
        meaning=(
            "Addresses or networks of your own reverse proxies, parted by commas. Only what they add to "
            "`X-Forwarded-For` is believed; unset, that header is not read at all."
        ),
        example="10.0.0.0/8, 127.0.0.1",
    )

    @property
    def address(self) -> str:
        """Return the address to open: the public one, or that of this machine."""
        if self.public_url is not None:
            return self.public_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - all addresses
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @field_validator("trusted_proxies")
    @classmethod
    def _check_trusted_proxies(cls, value: str) -> str:
        for each in filter(None, (part.strip() for part in value.split(","))):
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(f"has {each!r}, which is no address and no network") from None
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a whole address beginning with https:// or http://")
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
            raise ValueError("must end after the host: Parlour serves from the root of its address")
        return f"{parts.scheme}://{parts.netloc.lower()}"


class IdentitySettings(Section):
    """How people prove who they are."""

    jwt_secret: SecretStr | None = setting(
        None,
        env="PARLOUR_JWT_SECRET",
        meaning=(
            "Secret shared with another system whose HS256 tokens are accepted: `sub` (or `userId`) becomes "
            "a user here. Parlour's own tokens use a secret that it makes by itself."
        ),
        example="the output of: openssl rand -base64 48",
    )


class LogSettings(Section):
    """What is written to the log, on standard error."""

    format: Literal["auto", "console", "json"] = setting(
        "auto",
        env="PARLOUR_LOG_FORMAT",
        meaning="`console` for people, `json` for machines. `auto`: `console` on a terminal in development.",
        example="json",
    )
    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", env="PARLOUR_LOG_LEVEL", meaning="The least important lines that are written.", example="info"
    )


class AssistantSettings(Section):
    """The assistant that a fresh installation has."""

    name: str = setting(
        "Parlour",
        env="PARLOUR_ASSISTANT_NAME",
        meaning="What the assistant is called.",
        example="Ada",
        min_length=1,
        max_length=80,
    )
    system_prompt: str | None = setting(
        None,
        env="PARLOUR_SYSTEM_PROMPT",
        meaning="What the model is told about its role, in place of the prompt that comes with Parlour.",
        example="You answer questions about the Harbour Museum.",
        max_length=100_000,
    )


class ChatSettings(Section):
    """Limits of a conversation."""

    message_limit: int = setting(
        10_000,
        env="PARLOUR_MESSAGE_LIMIT",
        meaning="Longest message in characters.",
        example="10000",
        ge=1,
        le=1_000_000,
    )
    history_limit: int = setting(
        20,
        env="PARLOUR_HISTORY_LIMIT",
        meaning="How many earlier messages the model is shown.",
        example="20",
        ge=0,
        le=1000,
    )
    event_retention: int = setting(
        3600,
        env="PARLOUR_EVENT_RETENTION",
        meaning="Seconds after its end for which a reply can be resumed event by event.",
        example="3600",
        ge=3600,  # promised to clients
        le=30 * 24 * 3600,
    )


class KnowledgeSettings(Section):
    """What the assistant may look things up in."""

    enabled: bool = setting(
        default=True, env="PARLOUR_KNOWLEDGE", meaning="Whether answers may look things up.", example="on"
    )
    folder: Path | None = setting(
        None,
        env="PARLOUR_KNOWLEDGE_FOLDER",
        meaning="Folder of Markdown and text files, besides Parlour's own documentation.",
        example="/srv/handbook",
    )

    @field_validator("folder")
    @classmethod
    def _check_folder(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        folder = value.expanduser().absolute()
        if not folder.is_dir():
            raise ValueError("must be a folder that exists")
        return folder


class Settings(BaseSettings):
    """All settings. Made by :func:`load`; made directly it holds the defaults and what it is given."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    data_dir: Path = setting(
        Path("~/.local/share/parlour"),
        env="PARLOUR_DATA_DIR",
        meaning="Folder for the embedded database, files, and the secrets that Parlour makes.",
        example="/var/lib/parlour",
        validate_default=True,
    )
    database_url: SecretStr | None = setting(
        None,
        env="PARLOUR_DATABASE_URL",
        meaning="PostgreSQL (or another SQLite file) in place of the embedded database in the data folder.",
        example="postgresql://parlour@127.0.0.1/parlour",
    )
    redis_url: SecretStr | None = setting(
        None,
        env="PARLOUR_REDIS_URL",
        meaning="Redis, so that several servers share their rate limits. Unset: each server counts alone.",
        example="redis://127.0.0.1:6379/0",
    )
    environment: Literal["development", "production"] = setting(
        "development",
        env="PARLOUR_ENVIRONMENT",
        meaning="`production` refuses weak settings and hides `/api/docs` and `/metrics` from strangers.",
        example="production",
    )
    server: ServerSettings = ServerSettings()
    identity: IdentitySettings = IdentitySettings()
    log: LogSettings = LogSettings()
    assistant: AssistantSettings = AssistantSettings()
    chat: ChatSettings = ChatSettings()
    models: ModelSettings = ModelSettings()
    openai: OpenAISettings = OpenAISettings()
    anthropic: AnthropicSettings = AnthropicSettings()
    gemini: GeminiSettings = GeminiSettings()
    ollama: OllamaSettings = OllamaSettings()
    compatible: CompatibleSettings = CompatibleSettings()
    cache: CacheSettings = CacheSettings()
    limits: LimitSettings = LimitSettings()
    budgets: BudgetSettings = BudgetSettings()
    moderation: ModerationSettings = ModerationSettings()
    plans: dict[str, PlanSettings] = Field(default_factory=dict)
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    knowledge: KnowledgeSettings = KnowledgeSettings()

    @field_validator("data_dir")
    @classmethod
    def _resolve_data_dir(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"(postgres(ql)?|sqlite)(\+\w+)?://", value.get_secret_value()):
            raise ValueError("must begin with postgresql:// or sqlite://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"(rediss?|unix)://", value.get_secret_value()):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value

    @property
    def storage_url(self) -> str:
        """Return the database's URL: the given one, or the embedded database in the data folder."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'parlour.db'}"

    @property
    def providers(self) -> dict[str, ProviderSettings]:
        """Return the providers that are set up, by name, in the order in which they are preferred."""
        known: dict[str, ProviderSettings] = {
            "openai": self.openai,
            "anthropic": self.anthropic,
            "gemini": self.gemini,
            "compatible": self.compatible,
            "ollama": self.ollama,
        }
        return {name: section for name, section in known.items() if section.configured}

    @property
    def has_budgets(self) -> bool:
        """Tell whether money is limited for anybody."""
        plans = (money for plan in self.plans.values() for money in (plan.budget_day, plan.budget_month))
        return any(money is not None for money in (*self.budgets.model_dump().values(), *plans))

    @property
    def provider(self) -> str:
        """Return the provider that answers when nothing speaks for another one."""
        return self.models.default_provider or next(iter(self.providers), "builtin")

    @property
    def production(self) -> bool:
        """Tell whether strangers may be near."""
        return self.environment == "production"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing by itself: :func:`load` reads, so that it can say where a wrong value stands."""
        return (init_settings,)
