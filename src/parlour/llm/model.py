"""The protocol that every language model speaks here: a prompt in, a stream of events out."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from parlour.vocabulary.citation import Passage
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for models that see: its media type, such as ``image/png``, and its bytes."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A wish of the model to have a tool called. ``arguments`` is a JSON object as the model wrote it.

    As an event it comes whole, however many pieces the provider sent it in.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that was said before.

    Only a user's turn has ``images``; only an assistant's has ``tool_calls``, and a ``tool`` turn with the
    result, naming its call by ``tool_call_id``, follows each of them.
    """

    role: Literal["user", "assistant", "tool"]
    content: str
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may wish to have called; ``parameters`` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a model is given.

    ``turns`` are in the order they were said and end with the newest user message (or with results of
    tools). ``passages`` are numbered from 1 by their place; an answer points to them as ``[1]``. ``partial``
    is what this reply has already said: the model goes on right after it and must not repeat it.
    ``tool_choice`` is ``auto``, ``none``, ``required`` or the name of a tool. ``output_schema`` asks for an
    answer that is JSON of this schema. What is None or empty is left to the provider. ``time_left`` are the
    seconds until the answer must have ended, should that be sooner than the provider's own limit; it is no
    part of the question.
    """

    system: str
    turns: tuple[Turn, ...]
    passages: tuple[Passage, ...] = ()
    partial: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    output_schema: Mapping[str, Any] | None = None
    time_left: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """Text to append to the answer; never empty."""

    content: str


@dataclass(frozen=True, slots=True)
class Sources:
    """From here on ``[n]`` in the text means the n-th of these, in place of the prompt's passages."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """From here on this model answers. Comes first, and again after each fallback; ``why`` is for people."""

    provider: str
    model: str
    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end, always the last event. ``usage`` is None where the provider did not report it."""

    reason: FinishReason
    usage: Usage | None = None


ModelEvent = Text | Sources | ToolCall | Chosen | Finish


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
