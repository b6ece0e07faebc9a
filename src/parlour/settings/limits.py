"""Settings of what people may use: how much a minute, and how much money."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from parlour.settings.declaring import Section, setting


class LimitSettings(Section):
    """How much may be asked in a minute, by each person, each session, and each address of visitors."""

    requests_per_minute: int = setting(
        60,
        env="PARLOUR_REQUESTS_PER_MINUTE",
        meaning="Messages per minute, for a person, a session, and an address that visitors share.",
        example="60",
        ge=1,
        le=10_000_000,
    )
    tokens_per_minute: int = setting(
        100_000,
        env="PARLOUR_TOKENS_PER_MINUTE",
        meaning="Tokens per minute, questions and answers together, counted in the same three ways.",
        example="100000",
        ge=1,
        le=1_000_000_000_000,
    )
    session_tokens: int | None = setting(
        None,
        env="PARLOUR_SESSION_TOKENS",
        meaning="Most tokens that one session may use in all; then a new one must be started.",
        example="500000",
        ge=1,
    )
    streams_per_person: int = setting(
        20,
        env="PARLOUR_STREAMS_PER_PERSON",
        meaning="How many streams one person may have open at once on one server.",
        example="20",
        ge=1,
        le=1_000_000,
    )


def _money(env: str, meaning: str) -> Any:  # noqa: ANN401 - as pydantic's own Field
    return setting(None, env=env, meaning=meaning, example="5.00", gt=0)


class BudgetSettings(Section):
    """US dollars that may be spent on models in a day and in a month (UTC); unset: no limit."""

    day: Decimal | None = _money("PARLOUR_BUDGET_DAY", "For the whole server, a day.")
    month: Decimal | None = _money("PARLOUR_BUDGET_MONTH", "For the whole server, a month.")
    person_day: Decimal | None = _money("PARLOUR_BUDGET_PERSON_DAY", "For each person, a day.")
    person_month: Decimal | None = _money("PARLOUR_BUDGET_PERSON_MONTH", "For each person, a month.")
    visitor_day: Decimal | None = _money(
        "PARLOUR_BUDGET_VISITOR_DAY", "For each visitor, and for all visitors of one address, a day."
    )
    key_day: Decimal | None = _money("PARLOUR_BUDGET_KEY_DAY", "For each API key, a day.")
    key_month: Decimal | None = _money("PARLOUR_BUDGET_KEY_MONTH", "For each API key, a month.")
    assistant_day: Decimal | None = _money("PARLOUR_BUDGET_ASSISTANT_DAY", "For each assistant, a day.")
    assistant_month: Decimal | None = _money("PARLOUR_BUDGET_ASSISTANT_MONTH", "For each assistant, a month.")


class PlanSettings(Section):
    """A table ``[plans.<name>]``: what its people may use, where that differs from everybody else's."""

    requests_per_minute: int | None = Field(
        default=None, description="Messages per minute.", examples=["600"], ge=1, le=10_000_000
    )
    tokens_per_minute: int | None = Field(
        default=None, description="Tokens per minute.", examples=["1000000"], ge=1, le=1_000_000_000_000
    )
    models: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = Field(
        default=(),
        description="The only models that may be asked: ids, or patterns with `*`. Unset: all.",
        examples=['["openai/gpt-5-mini", "ollama/*"]'],
    )
    budget_day: Decimal | None = Field(
        default=None, description="US dollars a day for each person.", examples=["5.00"], gt=0
    )
    budget_month: Decimal | None = Field(
        default=None, description="US dollars a month for each person.", examples=["50.00"], gt=0
    )


class PriceSettings(Section):
    """A table ``[prices."provider/model"]``: wins over the price table that comes with Parlour."""

    input: Decimal = Field(description="US dollars for a million tokens in.", examples=["0.25"], ge=0)
    output: Decimal = Field(description="US dollars for a million tokens out.", examples=["2.00"], ge=0)
    cached: Decimal | None = Field(
        default=None,
        description="The same for tokens read from the provider's cache. Unset: as any other input.",
        examples=["0.025"],
        ge=0,
    )
