"""An answer that comes as a stream of events: what every reader of one has in common.

A provider's own reader says with :meth:`EventAnswer._piece` what one event means, and with
:meth:`EventAnswer._whole` what a document means that came in place of a stream.
"""

import json
from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeGuard

import orjson

from parlour.llm.model import ToolCall
from parlour.llm.wire.failures import failure, read_complaint
from parlour.llm.wire.sse import EventReader, EventTooLarge, ServerEvent
from parlour.llm.wire.text import TextMender, well_formed
from parlour.vocabulary.errors import Garbled, ProviderError
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

# No model reads or writes a hundred million tokens in one call: such a count is a mistake.
ABSURD_TOKENS = 100_000_000

# All tool calls of one answer together: as long as the longest answer (see the call).
LONGEST_ARGUMENTS = 1_000_000

DONE = "[DONE]"
"""What ends a stream at OpenAI, and what gateways put at the end of everybody's."""


class Framing(Protocol):
    """Cuts a stream of bytes into events."""

    strange: int
    """How much came that was no part of any event."""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Return the events that ``data`` completes. Raises :class:`parlour.llm.wire.sse.EventTooLarge`."""
        ...

    def rest(self) -> list[ServerEvent]:
        """Return what the end of the stream left."""
        ...


class EventAnswer(ABC):
    """The state of one answer while it comes in; a :class:`parlour.llm.wire.call.Reader`."""

    def __init__(self, *, secret: str = "", events: Framing | None = None) -> None:
        """Begin an answer; ``secret`` must not appear in an error's cause.

        ``events`` is for streams that are not made of Server-Sent Events.
        """
        self._secret = secret
        self._events = events or EventReader()
        self._mender = TextMender()
        self._done = False
        self.over = False
        """Nothing more will be said: the formal end or an error has come, or the stream was closed."""
        self.failure: ProviderError | None = None
        """What the provider gave as its reason to stop in the middle; what came before it was said."""
        self.finish: FinishReason | None = None
        self.usage: Usage | None = None
        self.refused = False
        """The provider refused or filtered the answer."""
        self.lively = False
        """The last :meth:`feed` brought a word, a thought or a part of a tool call, not only keep-alives."""
        self.calls: list[ToolCall] = []
        """Tool calls that are whole and were not given out yet."""
        self.readable = 0
        """How many events could be read."""
        self._unreadable = 0

    def feed(self, data: bytes) -> str:
        """Return the text that ``data`` completes, all pieces in one.

        An event that cannot be read is counted and skipped; one beyond any size ends the answer, because
        an answer with a hole must not look whole.
        """
        self.lively = False
        try:
            events = self._events.feed(data)
        except EventTooLarge:
            self._fail(Garbled(cause="the provider sent an event over the size limit"))
            return ""
        return self._text(events)

    def feed_whole(self, body: bytes) -> str:
        """Take an answer that came as one JSON document, although a stream was asked for."""
        document = decoded(body)
        text = ""
        if self._is_known(document):
            self.readable += 1
            text = self._whole(document)
            self._done = self.failure is None
        else:
            self._unreadable += 1
        return self._mender.mend(text) + self._end()

    def close(self) -> str:
        """Return what the end of the stream leaves: an event without its blank line, half a character."""
        return self._text(self._events.rest()) + self._end()

    @property
    def complete(self) -> bool:
        """The provider said in one way or another that this is all."""
        return self._done or self.finish is not None

    @property
    def gibberish(self) -> bool:
        """Something came, and nothing of it was an answer: a web page, or another protocol."""
        return not self.readable and bool(self._unreadable or self._events.strange)

    # --- what a provider's reader says ---

    @abstractmethod
    def _piece(self, event: ServerEvent) -> str:
        """Return the text of one event; it is called once a token, so the common event goes a short way."""

    @abstractmethod
    def _take(self, document: dict[str, Any]) -> str:
        """Take what an event says that is not simply the next piece of text; return its text."""

    @abstractmethod
    def _whole(self, document: dict[str, Any]) -> str:
        """Take an answer that is one document; return its text."""

    @abstractmethod
    def _known(self, document: dict[str, Any]) -> bool:
        """Tell whether a document is one of this provider's at all."""

    # --- what it is given for that ---

    def _slowly(self, event: ServerEvent) -> str:
        """Read an event that is not simply the next piece of text."""
        text = ""
        for document in _documents(event.data):
            if self.over:
                break
            if document == DONE:
                self._done = self.over = True
            elif self._is_known(document):
                self.readable += 1
                text += self._take(document)
            elif event.name == b"error":
                self._complain(document)
            else:
                self._unreadable += 1
        return text

    def _complain(self, document: object) -> None:
        """End the answer with what the provider gave as its reason."""
        self._fail(failure(200, read_complaint(document), secret=self._secret))

    def _fail(self, failure: ProviderError) -> None:
        self.failure = self.failure or failure
        self.over = True

    def _is_known(self, document: object) -> TypeGuard[dict[str, Any]]:
        return isinstance(document, dict) and self._known(document)

    def _text(self, events: list[ServerEvent]) -> str:
        pieces = []
        for event in events:
            if self.over:
                break
            if piece := self._piece(event):
                pieces.append(piece)
        if pieces:
            self.lively = True
        elif not self.over:
            return ""
        text = self._mender.mend("".join(pieces))
        return text + self._mender.rest() if self.over else text

    def _end(self) -> str:
        self.over = True
        return self._mender.rest()


def counted(count: object) -> int | None:
    """Return a count of tokens; 0 where it is missing, None where it cannot be true."""
    if count is None:
        return 0
    return count if type(count) is int and 0 <= count <= ABSURD_TOKENS else None


def arguments_of(value: object) -> str:
    """Write the arguments of a tool call that came as an object; an empty object for anything else."""
    try:
        # Not orjson, which takes neither lone surrogates nor deep nesting.
        return well_formed(json.dumps(value, ensure_ascii=False)) if isinstance(value, dict) else "{}"
    except RecursionError:
        return "{}"


def object_of(arguments: str) -> dict[str, Any]:
    """Read the arguments of a tool call as an object, for APIs that take nothing else.

    What the model wrote instead is kept under the name ``arguments``, so that it can see its mistake.
    """
    try:
        found = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {"arguments": arguments}


def decoded(data: bytes) -> object:
    """Decode one document; None where there is none to be had.

    The strict decoder refuses invalid UTF-8 and lone surrogates. Neither is worth losing an event for: as the
    SSE specification says, the first decodes to U+FFFD; the second is mended with the text around it.
    """
    if data.strip() == DONE.encode():
        return DONE
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _documents(data: bytes) -> list[object]:
    """Decode an event's data; where a blank line was lost, it is one document a line."""
    whole = decoded(data)
    if whole is None and b"\n" in data:
        return [decoded(line) for line in data.split(b"\n")]
    return [whole] if data else []
