"""What a wire format must offer so that the fake provider can speak it: one :class:`Service` a module.

A module such as :mod:`tests.fakes.chat_wire` holds a wire class and ``SERVICE``; :mod:`tests.fakes.provider`
lists the services, and the first that claims a request's method and path serves it. All of them obey the
same directives (:mod:`tests.fakes.script`); a wire only writes the bytes.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.fakes.script import Call, Script

EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True)
class Asked:
    """A request for an answer, in what all wire formats have in common."""

    model: str
    question: str
    """The newest user message, without passages and notes; see :func:`tests.fakes.answers.question_of`."""
    messages: list[dict[str, Any]]
    """The conversation as it came; ``echo`` says it, and its words are counted as tokens."""
    stream: bool
    partial: str = ""
    """What the answer has already said: the text of a last message that is the assistant's."""
    rounds: int = 0
    """How many times tools were called since the newest user message."""
    images: tuple[bytes, ...] = ()
    """Every picture in the conversation, decoded."""
    tools: tuple[str, ...] = ()
    """Names of the tools on offer."""
    with_usage: bool = True


@dataclass
class Request:
    """One request as it came in, and how it ended."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float = field(default_factory=time.time)
    question: str = ""
    sent: int = 0
    """Pieces of text that were written."""
    outcome: str = ""
    """Empty while it runs; then ``finished``, ``fault`` or ``reader gone``."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    service: str = ""
    """The wire format's name."""
    asked: Asked | None = None
    """What was asked, if it was an answer."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The prompt, in the wire formats that call it so."""
        found: list[dict[str, Any]] = self.body.get("messages", [])
        return found

    def end(self, outcome: str) -> None:
        """Write down how it ended; the first word stands."""
        self.outcome = self.outcome or outcome
        self.ended.set()

    def shown(self) -> dict[str, Any]:
        """Return what ``GET /_requests`` tells."""
        names = ("method", "path", "headers", "body", "at", "question", "sent", "outcome", "service")
        return {name: getattr(self, name) for name in names}


class Wire(Protocol):
    """Writes one answer. Every method returns whole events."""

    def opening(self) -> bytes:
        """Return what comes before the first piece."""
        ...

    def piece(self, text: str) -> bytes:
        """Return one piece of the answer."""
        ...

    def thought(self, text: str) -> bytes:
        """Return one piece of reasoning."""
        ...

    def spoiled(self, text: str, fault: str) -> bytes:
        """Return a piece as an event that is no JSON (``badjson``), or no UTF-8 (``badutf8``)."""
        ...

    def calls(self, calls: tuple[Call, ...]) -> list[bytes]:
        """Return the tool calls, in as many parts as this provider sends them."""
        ...

    def ending(self, sent: int) -> bytes:
        """Return finish reason, usage and whatever ends the stream; ``sent`` pieces of text were written."""
        ...

    def error(self, status: int) -> bytes:
        """Return an error in the middle of a stream that began well."""
        ...

    def whole(self, text: str, calls: tuple[Call, ...]) -> object:
        """Return the answer as one document, as it is when no stream was asked for."""
        ...


@dataclass(frozen=True)
class Page:
    """A document that is no answer: a list of models, embeddings."""

    method: str
    path: str
    """A regular expression for the whole path."""
    document: Callable[[Script, Request], object]
    question: Callable[[Request], str] = lambda _: ""
    """Return the text in which directives may stand; pages without one cannot misbehave."""
    header: str = ""
    """Only requests with this header are meant; two providers share ``/v1/models``."""

    def claims(self, request: Request) -> bool:
        """Tell whether the request is for this page."""
        return (
            request.method == self.method
            and re.fullmatch(self.path, request.path) is not None
            and (not self.header or self.header in request.headers)
        )


@dataclass(frozen=True)
class Service:
    """One wire format."""

    name: str
    """Also the word before a directive that is for this provider only: ``[[ollama: status=503]]``."""
    path: str
    """A regular expression for the whole path where answers are asked for."""
    read: Callable[[Request], Asked]
    wire: Callable[[Script, Asked], Wire]
    error: Callable[[Script, int], object]
    """Return the document of a refused call."""
    pages: tuple[Page, ...] = ()
    content_type: str = EVENT_STREAM

    def claims(self, request: Request) -> bool:
        """Tell whether the request asks this provider for an answer."""
        return request.method == "POST" and re.fullmatch(self.path, request.path) is not None


class EventWriter:
    """Writes server-sent events, bent as the script's ``shape`` says."""

    def __init__(self, script: Script) -> None:
        """Take what stays the same over the whole stream."""
        self._shape = script.shape
        self._events = 0

    def start(self) -> bytes:
        """Return what may stand before the first event."""
        start = b"\xef\xbb\xbf" if "bom" in self._shape else b""
        if "longcomment" in self._shape:
            start += b": " + b"z" * 1_000_000 + self._bend(b"\n\n")
        return start

    @property
    def indent(self) -> int | None:
        """How JSON is to be indented, so that its lines become several data lines."""
        return 1 if "multiline" in self._shape else None

    def event(self, data: str, name: str = "") -> bytes:
        """Return one event."""
        self._events += 1
        space = "" if "nospace" in self._shape else " "
        lines = [f"event:{space}{name}"] if name else []
        lines += [f"data:{space}{line}" for line in data.split("\n")]
        before = ""
        if "comments" in self._shape:
            before = ": keep-alive\n\n:\n"
        if "unknown" in self._shape:
            before += "event: ping\ndata: {}\n\nretry: 1000\nid\nflavour: odd\n"
        blank = "" if "noblank" in self._shape and self._events % 2 else "\n"
        return self._bend((before + "\n".join(lines) + "\n" + blank).encode())

    def _bend(self, event: bytes) -> bytes:
        if "cr" in self._shape:
            return event.replace(b"\n", b"\r")
        return event.replace(b"\n", b"\r\n") if "crlf" in self._shape else event


def counted(script: Script, messages: list[dict[str, Any]], sent: int) -> Mapping[str, int]:
    """Count words as tokens: ``asked``, ``said`` and ``cached``; or lie, when the script says so."""
    asked = sum(len(str(each.get("content", "")).split()) for each in messages)
    match script.usage:
        case "neg":
            asked, sent = -asked, -1
        case "absurd":
            sent = 10**15
        case _:
            pass
    return {"asked": asked, "said": sent, "cached": asked // 2 if script.usage == "cached" else 0}
