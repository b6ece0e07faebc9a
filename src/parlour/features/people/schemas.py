"""How people look on the wire."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from parlour.vocabulary.principal import Role


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
