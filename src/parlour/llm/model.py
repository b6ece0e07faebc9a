"""The protocol that every language model speaks here: a prompt in, a stream of events out."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from parlour.vocabulary.citation import Passage
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that was said before."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a model is given.

    ``turns`` are in the order they were said and end with the newest user message. ``passages`` are
    numbered from 1 by their place; an answer points to them as ``[1]``. ``partial`` is what this reply
    has already said: the model goes on right after it and must not repeat it.
    """

    system: str
    turns: tuple[Turn, ...]
    passages: tuple[Passage, ...] = ()
    partial: str = ""
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Text to append to the answer; never empty."""

    content: str


@dataclass(frozen=True, slots=True)
class Sources:
    """From here on ``[n]`` in the text means the n-th of these, in place of the prompt's passages."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """The end, always the last event. ``usage`` is None where the provider did not report it."""

    reason: FinishReason
    usage: Usage | None = None


ModelEvent = Text | Sources | Finish


class Model(Protocol):
    """One model of one provider."""

    provider: str
    name: str

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt``. Closing the generator (or cancelling its task) closes the call upstream.

        Raises a :class:`~parlour.vocabulary.errors.ProviderError` when the model cannot go on; text that
        was already yielded stays said. A stream that does not end in :class:`Finish` ended by an error.
        """
        ...
