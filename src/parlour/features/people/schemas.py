"""How people look on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from parlour.vocabulary.principal import Role, Scope

# Neither NUL nor the like: a name is shown in lists and in terminals.
Printable = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class _Wire(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid"
    )


class Visitor(_Wire):
    """An anonymous identity."""

    visitor_id: str = Field(description="The visitor's person id.")
    token: str = Field(description="Goes into `Authorization: Bearer` of every request.")
    expires_at: datetime


class SignIn(_Wire):
    """The one-time token from a sign-in link."""

    token: str = Field(min_length=1, max_length=200)


class SignedIn(_Wire):
    """A session of a person who signed in."""

    token: str = Field(description="Goes into `Authorization: Bearer` of every request.")
    expires_at: datetime
    person_id: str
    role: Role


class Me(_Wire):
    """The person behind the request's token."""

    person_id: str
    role: Role
    display_name: str | None


class NewApiKey(_Wire):
    """What an API key shall be."""

    name: Annotated[Printable, Field(max_length=100)]
    scopes: set[Scope] = Field(min_length=1, description="What the key may do.")
    expires_at: AwareDatetime | None = Field(None, description="When it stops to work; null: never.")
    plan: Annotated[Printable, Field(max_length=64)] | None = Field(
        None, description="Whose allowances it has; null: those of its maker. For operators."
    )


class ApiKeyShown(_Wire):
    """An API key as lists show it."""

    id: str
    name: str
    prefix: str = Field(description="How the key begins, to tell it by.")
    scopes: list[Scope]
    plan: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute; null: never.")


class ApiKeyMade(ApiKeyShown):
    """A new API key."""

    key: str = Field(description="The key itself. It is shown this once and kept nowhere.")


class ApiKeys(_Wire):
    """One's own API keys, newest first."""

    items: list[ApiKeyShown]
    next_cursor: None = None


class Done(_Wire):
    """It is done."""

    success: bool = True
