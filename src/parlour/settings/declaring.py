"""How one setting is declared."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def setting(  # the types are those of pydantic's own Field
    default: Any,  # noqa: ANN401
    *,
    env: str,
    also: tuple[str, ...] = (),
    meaning: str,
    example: str,
    **limits: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Declare one setting: its default, environment name, meaning and an example that would be accepted.

    ``also`` are other names by which the environment may give it; ``env`` wins.
    """
    return Field(
        default,
        description=meaning,
        examples=[example],
        json_schema_extra={"env": env, "also": list(also)},
        **limits,
    )


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def environment_name(section: Section, field: str) -> str:
    """Return the name by which the environment gives a setting."""
    extra = type(section).model_fields[field].json_schema_extra
    assert isinstance(extra, dict)  # noqa: S101 - every setting is declared by setting()
    return str(extra["env"])
