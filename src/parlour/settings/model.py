"""What can be set: one frozen, typed model. Each setting declares its environment name and its meaning."""

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


def _setting(  # the types are those of pydantic's own Field
    default: Any,  # noqa: ANN401
    *,
    env: str,
    meaning: str,
    example: str,
    **limits: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Declare one setting: its default, environment name, meaning and an example that would be accepted."""
    return Field(default, description=meaning, examples=[example], json_schema_extra={"env": env}, **limits)


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(Section):
    """Where the server listens and how it is reached."""

    host: str = _setting(
        "127.0.0.1",
        env="PARLOUR_HOST",
        meaning="Address to listen on; `0.0.0.0` listens on all.",
        example="127.0.0.1",
        min_length=1,
    )
    port: int = _setting(
        8000, env="PARLOUR_PORT", meaning="Port to listen on.", example="8000", ge=0, le=65535
    )
    public_url: str | None = _setting(
        None,
        env="PARLOUR_PUBLIC_URL",
        meaning="How browsers reach this server. Requests for other hosts are refused. Needed in production.",
        example="https://chat.example.org",
    )
    body_limit: int = _setting(
        1024 * 1024,
        env="PARLOUR_BODY_LIMIT",
        meaning="Largest request body in bytes.",
        example="1048576",
        ge=1024,
        le=1024**3,
    )
    drain_seconds: float = _setting(
        25.0,
        env="PARLOUR_DRAIN_SECONDS",
        meaning="How long replies in progress may go on after a stop signal; then they are handed over.",
        example="25",
        ge=0,
        le=25,  # with 3 s for connections to close the process is gone within 30 s
        allow_inf_nan=False,
    )

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

    jwt_secret: SecretStr | None = _setting(
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

    format: Literal["auto", "console", "json"] = _setting(
        "auto",
        env="PARLOUR_LOG_FORMAT",
        meaning="`console` for people, `json` for machines. `auto`: `console` on a terminal in development.",
        example="json",
    )
    level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", env="PARLOUR_LOG_LEVEL", meaning="The least important lines that are written.", example="info"
    )


class AssistantSettings(Section):
    """The assistant that a fresh installation has."""

    name: str = _setting(
        "Parlour",
        env="PARLOUR_ASSISTANT_NAME",
        meaning="What the assistant is called.",
        example="Ada",
        min_length=1,
        max_length=80,
    )
    system_prompt: str | None = _setting(
        None,
        env="PARLOUR_SYSTEM_PROMPT",
        meaning="What the model is told about its role, in place of the prompt that comes with Parlour.",
        example="You answer questions about the Harbour Museum.",
        max_length=100_000,
    )


class ChatSettings(Section):
    """Limits of a conversation."""

    message_limit: int = _setting(
        10_000,
        env="PARLOUR_MESSAGE_LIMIT",
        meaning="Longest message in characters.",
        example="10000",
        ge=1,
        le=1_000_000,
    )
    history_limit: int = _setting(
        20,
        env="PARLOUR_HISTORY_LIMIT",
        meaning="How many earlier messages the model is shown.",
        example="20",
        ge=0,
        le=1000,
    )
    event_retention: int = _setting(
        3600,
        env="PARLOUR_EVENT_RETENTION",
        meaning="Seconds after its end for which a reply can be resumed event by event.",
        example="3600",
        ge=3600,  # promised to clients
        le=30 * 24 * 3600,
    )


class ModelSettings(Section):
    """Which provider answers, and how long it may take."""

    default_provider: Literal["openai", "builtin"] | None = _setting(
        None,
        env="PARLOUR_DEFAULT_PROVIDER",
        meaning="`openai` or `builtin`. Unset: `openai` when it has a key or a base URL, else `builtin`.",
        example="openai",
    )
    connect_timeout: float = _setting(
        5.0,
        env="PARLOUR_CONNECT_TIMEOUT",
        meaning="Seconds to reach the provider.",
        example="5",
        gt=0,
        le=60,
    )
    first_token_timeout: float = _setting(
        30.0,
        env="PARLOUR_FIRST_TOKEN_TIMEOUT",
        meaning="Seconds until the model must begin to answer.",
        example="30",
        gt=0,
        le=600,
    )
    stall_timeout: float = _setting(
        30.0,
        env="PARLOUR_STALL_TIMEOUT",
        meaning="Longest silence in seconds in the middle of an answer.",
        example="30",
        gt=0,
        le=600,
    )
    total_timeout: float = _setting(
        600.0,
        env="PARLOUR_TOTAL_TIMEOUT",
        meaning="Longest time in seconds for a whole answer.",
        example="600",
        gt=0,
        le=3600,
    )


def _provider_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a whole address beginning with https:// or http://")
    return value.rstrip("/")


class OpenAISettings(Section):
    """OpenAI, or any server that speaks its protocol."""

    api_key: SecretStr | None = _setting(
        None, env="OPENAI_API_KEY", meaning="Key of the provider.", example="sk-…"
    )
    base_url: str = _setting(
        "https://api.openai.com/v1",
        env="OPENAI_BASE_URL",
        meaning="Where the provider is. Any OpenAI-compatible server works, also without a key.",
        example="http://127.0.0.1:11434/v1",
    )
    model: str = _setting(
        "gpt-6.1-terra",
        env="OPENAI_MODEL",
        meaning="Model that answers.",
        example="gpt-6.1-terra",
        min_length=1,
        max_length=200,
    )
    small_model: str | None = _setting(
        None,
        env="OPENAI_SMALL_MODEL",
        meaning=(
            "Model for small work such as titles. Unset: `gpt-6-luna` at OpenAI's own address, else the "
            "model that answers."
        ),
        example="gpt-6-luna",
        min_length=1,
        max_length=200,
    )

    _check_base_url = field_validator("base_url")(_provider_address)

    @property
    def configured(self) -> bool:
        """Tell whether this provider is there: it has a key, or is another server than OpenAI's own."""
        return self.api_key is not None or not self._own_address

    @property
    def model_for_small_work(self) -> str:
        """Return the model for titles and the like."""
        return self.small_model or ("gpt-6-luna" if self._own_address else self.model)

    @property
    def _own_address(self) -> bool:
        return bool(self.base_url == type(self).model_fields["base_url"].default)


class KnowledgeSettings(Section):
    """What the assistant may look things up in."""

    enabled: bool = _setting(
        default=True, env="PARLOUR_KNOWLEDGE", meaning="Whether answers may look things up.", example="on"
    )
    folder: Path | None = _setting(
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

    data_dir: Path = _setting(
        Path("~/.local/share/parlour"),
        env="PARLOUR_DATA_DIR",
        meaning="Folder for the embedded database, files, and the secrets that Parlour makes.",
        example="/var/lib/parlour",
        validate_default=True,
    )
    database_url: SecretStr | None = _setting(
        None,
        env="PARLOUR_DATABASE_URL",
        meaning="PostgreSQL (or another SQLite file) in place of the embedded database in the data folder.",
        example="postgresql://parlour@127.0.0.1/parlour",
    )
    environment: Literal["development", "production"] = _setting(
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

    @property
    def storage_url(self) -> str:
        """Return the database's URL: the given one, or the embedded database in the data folder."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'parlour.db'}"

    @property
    def provider(self) -> Literal["openai", "builtin"]:
        """Return the provider that answers unless someone chooses another."""
        return self.models.default_provider or ("openai" if self.openai.configured else "builtin")

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
