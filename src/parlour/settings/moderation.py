"""Settings of moderation: what is looked at, by whom, and what is done about it."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from parlour.settings.choosing import listed
from parlour.settings.declaring import Section, setting

STAGES = ("input", "retrieved", "output")
MASKED_KINDS = ("e-mail", "card", "iban", "phone", "ip", "key")

Doing = Literal["off", "flag", "mask", "block"]


class ModerationSettings(Section):
    """What may be asked, shown to a model, and answered; and what never leaves the server."""

    input: Doing = setting(
        "off",
        env="PARLOUR_MODERATION_INPUT",
        meaning=(
            "What is done about a message that breaks the rules: `off` (nobody looks), `flag` (only "
            "written down), `mask` (the words are taken out), `block` (a friendly refusal; no model sees it)."
        ),
        example="block",
    )
    retrieved: Doing = setting(
        "off",
        env="PARLOUR_MODERATION_RETRIEVED",
        meaning="What is done about a passage of your documents; `block` leaves it out.",
        example="flag",
    )
    output: Doing = setting(
        "off",
        env="PARLOUR_MODERATION_OUTPUT",
        meaning=(
            "What is done about a sentence of an answer: `block` takes it back and ends the answer, `mask` "
            "shows each sentence only when its words were taken out."
        ),
        example="block",
    )
    hold: bool = setting(
        default=False,
        env="PARLOUR_MODERATION_HOLD",
        meaning="Whether a sentence of an answer is shown only when it has passed, so nothing is taken back.",
        example="on",
    )
    rules: Path | None = setting(
        None,
        env="PARLOUR_MODERATION_RULES",
        meaning="File of words, phrases and /patterns/, one on each line, that break your rules.",
        example="/etc/parlour/rules.txt",
    )
    cues: bool = setting(
        default=True,
        env="PARLOUR_MODERATION_CUES",
        meaning=(
            "Whether what comes with Parlour is looked for as well: orders to the model in looked-up text, "
            "keys in answers."
        ),
        example="off",
    )
    ask_provider: str = setting(
        "",
        env="PARLOUR_MODERATION_PROVIDER",
        meaning=(
            "What a provider's moderation API judges besides your rules, parted by commas: `input`, "
            "`retrieved`, `output`."
        ),
        example="input, output",
    )
    provider_url: str | None = setting(
        None,
        env="PARLOUR_MODERATION_URL",
        meaning="Where that API is; it must speak OpenAI's `/moderations`. Unset: as `OPENAI_BASE_URL`.",
        example="https://api.openai.com/v1",
    )
    provider_key: SecretStr | None = setting(
        None,
        env="PARLOUR_MODERATION_KEY",
        meaning="Its key. Unset: `OPENAI_API_KEY`, if the address is the same.",
        example="sk-…",
    )
    provider_model: str = setting(
        "omni-moderation-latest",
        env="PARLOUR_MODERATION_MODEL",
        meaning="The model that judges.",
        example="omni-moderation-latest",
        min_length=1,
        max_length=200,
    )
    provider_timeout: float = setting(
        3.0,
        env="PARLOUR_MODERATION_TIMEOUT",
        meaning="Seconds that a judgement may take.",
        example="3",
        gt=0,
        le=60,
    )
    when_unreachable: Literal["allow", "refuse"] = setting(
        "allow",
        env="PARLOUR_MODERATION_UNREACHABLE",
        meaning="What becomes of a text that could not be judged; `refuse` treats it as breaking rules.",
        example="refuse",
    )
    input_refusal: str = setting(
        "I cannot help with this message. Could you put it another way, or ask about something else?",
        env="PARLOUR_MODERATION_INPUT_REFUSAL",
        meaning="The answer to a message that was blocked.",
        example="Let us keep to questions about the museum.",
        min_length=1,
        max_length=2_000,
    )
    output_refusal: str = setting(
        "I would rather stop here. Could you ask me something else?",
        env="PARLOUR_MODERATION_OUTPUT_REFUSAL",
        meaning="What stands in place of an answer, or its rest, that was blocked.",
        example="Let me stop here.",
        min_length=1,
        max_length=2_000,
    )
    masking: str = setting(
        "off",
        env="PARLOUR_MASKING",
        meaning=(
            "Personal data that no provider gets to see; it is put back into the answer here. `off`, `all`, "
            "or some of `e-mail`, `card`, `iban`, `phone`, `ip`, `key`, parted by commas."
        ),
        example="all",
    )

    @property
    def provider_stages(self) -> tuple[str, ...]:
        """Return what the provider judges."""
        return listed(self.ask_provider)

    @property
    def masked_kinds(self) -> tuple[str, ...]:
        """Return the kinds of data that are masked, as they are written in :data:`MASKED_KINDS`."""
        return {"off": (), "all": MASKED_KINDS}.get(self.masking, listed(self.masking))

    @field_validator("ask_provider", "masking")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.strip().lower()

    @field_validator("ask_provider")
    @classmethod
    def _check_stages(cls, value: str) -> str:
        for each in listed(value):
            if each not in STAGES:
                raise ValueError(f"names {each!r}; each must be one of {', '.join(STAGES)}")
        return value

    @field_validator("masking")
    @classmethod
    def _check_kinds(cls, value: str) -> str:
        for each in listed(value) if value not in ("off", "all") else ():
            if each not in MASKED_KINDS:
                raise ValueError(f"names {each!r}; each must be one of {', '.join(MASKED_KINDS)}")
        return value

    @field_validator("rules")
    @classmethod
    def _check_rules(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        file = value.expanduser().absolute()
        if not file.is_file():
            raise ValueError("must be a file that exists")
        return file

    @field_validator("provider_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a whole address beginning with https:// or http://")
        return value.rstrip("/")
