"""Ollama's own chat stream, read: lines of JSON in; text, tool calls, finish reason and usage out."""

import secrets
from typing import Any

import orjson

from parlour.llm.model import ToolCall
from parlour.llm.wire.events import LONGEST_ARGUMENTS, EventAnswer, arguments_of, counted
from parlour.llm.wire.sse import BYTE_ORDER_MARK, LARGEST_EVENT, EventTooLarge, ServerEvent
from parlour.llm.wire.text import well_formed
from parlour.vocabulary.errors import Garbled
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

_FINISH = {
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.FILTERED,  # no word of Ollama's own, but of gateways before it
}


def usage_of(document: dict[str, Any]) -> Usage | None:
    """Read the counts of the last line; None where one is missing or absurd, so that we estimate.

    Ollama leaves the prompt's count out when it had all of the prompt in its memory.
    """
    asked, said = counted(document.get("prompt_eval_count")), counted(document.get("eval_count"))
    if not asked or said is None or "eval_count" not in document:
        return None
    return Usage(input_tokens=asked, output_tokens=said)


class LineReader:
    """Puts together the lines of one stream; each that is not blank is an event."""

    def __init__(self, *, limit: int = LARGEST_EVENT) -> None:
        """Begin a stream whose lines have at most ``limit`` bytes."""
        self._limit = limit
        self._held: list[bytes] = []  # pieces of a line whose end has not come
        self._held_size = 0
        self._begun = False
        self.strange = 0
        """Nothing: what is no JSON is seen by whoever decodes it."""

    def feed(self, data: bytes) -> list[ServerEvent]:
        """Return the lines that ``data`` completes, in order. Raises :class:`EventTooLarge`."""
        head, end, tail = data.rpartition(b"\n")
        lines = []
        if end:
            whole = b"".join([*self._held, head])
            if not self._begun:
                self._begun = True
                whole = whole.removeprefix(BYTE_ORDER_MARK)
            lines = whole.split(b"\n")
            self._held.clear()
            self._held_size = 0
        if tail:
            self._held.append(tail)
            self._held_size += len(tail)
            if self._held_size > self._limit:
                raise EventTooLarge
        return [ServerEvent(b"", line) for line in lines if line and not line.isspace()]

    def rest(self) -> list[ServerEvent]:
        """Return what the end of the stream left without a line end."""
        return self.feed(b"\n")


class OllamaStream(EventAnswer):
    """The state of one answer while it comes in."""

    def __init__(self, *, secret: str = "") -> None:
        """Begin an answer; ``secret`` must not appear in an error's cause."""
        super().__init__(secret=secret, events=LineReader())
        self._size = 0
        self._identities: set[str] = set()

    def _piece(self, event: ServerEvent) -> str:
        try:
            line = orjson.loads(event.data)
            message = line["message"]
            piece = message["content"]
            simple = line["done"] is False and "tool_calls" not in message
        except (ValueError, KeyError, TypeError):
            simple = False
        if simple and piece and type(piece) is str and self.finish is None:
            self.readable += 1
            return piece
        return self._slowly(event)

    def _known(self, document: dict[str, Any]) -> bool:
        return "message" in document or "error" in document or "done" in document

    def _whole(self, document: dict[str, Any]) -> str:
        return self._take(document)

    def _take(self, document: dict[str, Any]) -> str:
        if document.get("error"):
            self._complain(document)
            return ""
        message = document.get("message")
        text = self._said(message) if isinstance(message, dict) and self.finish is None else ""
        if document.get("done") is True and self.finish is None:
            reason = document.get("done_reason")
            self.finish = _FINISH.get(reason if isinstance(reason, str) else "", FinishReason.STOP)
            self.usage = usage_of(document)
            self._done = self.over = True
        return text

    def _said(self, message: dict[str, Any]) -> str:
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._call(call)
        text = message.get("content")
        self.lively = self.lively or bool(message.get("thinking") or calls)
        return text if isinstance(text, str) else ""

    def _call(self, call: object) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not (isinstance(call, dict) and isinstance(function, dict) and isinstance(name, str) and name):
            return
        arguments = arguments_of(function.get("arguments"))
        self._size += len(arguments)
        if self._size > LONGEST_ARGUMENTS:
            self._fail(Garbled(cause="the provider sent tool calls over the size limit"))
            return
        identity = call.get("id")
        if not (isinstance(identity, str) and identity) or identity in self._identities:
            identity = f"call_{secrets.token_hex(12)}"  # older versions give none
        self._identities.add(identity)
        self.calls.append(ToolCall(well_formed(identity), well_formed(name), arguments))
