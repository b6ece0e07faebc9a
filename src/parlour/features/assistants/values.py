"""What an assistant is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question that the first page offers."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Assistant:
    """A configured bot. ``system_prompt`` tells a model its role; people never see it."""

    id: str
    name: str
    description: str
    greeting: str
    system_prompt: str
    suggestions: tuple[Suggestion, ...] = ()
