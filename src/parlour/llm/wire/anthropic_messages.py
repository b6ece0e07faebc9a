"""Anthropic's Messages stream, read: bytes in; text, tool calls, finish reason and usage out.

An answer is a row of numbered content blocks. Text is given out as it comes; a tool call is collected until
its block ends; thinking is no part of the answer and only a sign of life, which the keep-alives are, too,
while a thought is open: the newest models think without a word on the line.
"""

from typing import Any

import orjson

from parlour.llm.model import ToolCall
from parlour.llm.wire.events import LONGEST_ARGUMENTS, EventAnswer, arguments_of, counted
from parlour.llm.wire.sse import ServerEvent
from parlour.llm.wire.text import well_formed
from parlour.vocabulary.errors import Garbled
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

_FINISH = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    # Given up in the middle, to be gone on with in another call.
    "pause_turn": FinishReason.LENGTH,
    "refusal": FinishReason.FILTERED,
    "tool_use": FinishReason.TOOL_CALLS,
}

_USAGE = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def usage_of(counts: object) -> Usage | None:
    """Read a usage object; None where it is missing, negative, absurd or all zero, so that we estimate.

    Anthropic counts the tokens of its prompt cache beside ``input_tokens``; ours are a part of them.
    """
    if not isinstance(counts, dict):
        return None
    asked, said, cached, written = (counted(counts.get(name)) for name in _USAGE)
    if asked is None or said is None or cached is None or written is None:
        return None
    asked += cached + written
    if not (asked or said):
        return None
    return Usage(asked, said, cached_tokens=cached, cache_write_tokens=written)


def finish_of(word: object) -> FinishReason | None:
    """Map a stop reason; an unknown word ends the answer too, None and the empty word do not."""
    return _FINISH.get(word, FinishReason.STOP) if isinstance(word, str) and word else None


class MessageStream(EventAnswer):
    """The state of one answer while it comes in."""

    def __init__(self, *, secret: str = "") -> None:
        """Begin an answer; ``secret`` must not appear in an error's cause."""
        super().__init__(secret=secret)
        self._counts: dict[str, object] = {}
        self._block = -1  # the text block that is being written
        self._closed: set[int] = set()
        self._calls: dict[int, _Call] = {}
        self._written = 0
        self._thinking = False

    def _piece(self, event: ServerEvent) -> str:
        try:
            document = orjson.loads(event.data)
            delta = document["delta"]
            piece = delta["text"]
            simple = (
                document["index"] == self._block and delta["type"] == "text_delta" and self.finish is None
            )
        except (ValueError, KeyError, TypeError):
            simple = False
        if simple and type(piece) is str:
            self.readable += 1
            return piece
        return self._slowly(event)

    def _known(self, document: dict[str, Any]) -> bool:
        return isinstance(document.get("type"), str)

    def _whole(self, document: dict[str, Any]) -> str:
        if document["type"] == "error":
            self._complain(document)
            return ""
        text = self._contents(document.get("content"))
        self._end_message({"delta": document, "usage": document.get("usage")})
        return text

    def _take(self, document: dict[str, Any]) -> str:
        match document["type"]:
            case "content_block_delta":
                return self._delta(document)
            case "content_block_start":
                return self._begin(document.get("index"), document.get("content_block"))
            case "content_block_stop":
                self._close(document.get("index"))
            case "message_start" if isinstance(message := document.get("message"), dict):
                self._count(message.get("usage"))
            case "message_delta" if isinstance(document.get("delta"), dict):
                self._end_message(document)
            case "message_stop":
                self._done = self.over = True
            case "error":
                self._complain(document)
            case "ping":
                self.lively = self.lively or self._thinking
        return ""

    def _begin(self, index: object, block: object) -> str:
        # What comes again for a closed block, or after the finish, is a proxy's repetition.
        if type(index) is not int or not isinstance(block, dict) or not self._open_to(index):
            return ""
        self.lively = True
        kind = block.get("type")
        self._thinking = kind in ("thinking", "redacted_thinking")
        if kind == "tool_use" and index not in self._calls:
            self._calls[index] = _Call(block)
        if kind != "text":
            return ""
        self._block = index
        return _string(block.get("text"))

    def _delta(self, document: dict[str, Any]) -> str:
        index, delta = document.get("index"), document.get("delta")
        if type(index) is not int or not isinstance(delta, dict) or not self._open_to(index):
            return ""
        match delta.get("type"):
            case "text_delta":
                self._block = index
                return _string(delta.get("text"))
            case "input_json_delta" if index in self._calls:
                self.lively = True
                self._write(self._calls[index], _string(delta.get("partial_json")))
            case "thinking_delta" | "signature_delta":
                self.lively = True
        return ""

    def _close(self, index: object) -> None:
        self._thinking = False
        if type(index) is not int:
            return
        if index == self._block:
            self._block = -1
        if index not in self._closed and index in self._calls and self.finish is None:
            self.calls.append(self._calls[index].whole())
        self._closed.add(index)

    def _open_to(self, index: int) -> bool:
        return index not in self._closed and self.finish is None

    def _contents(self, blocks: object) -> str:
        """Take the blocks of an answer that came whole; return their text."""
        text = ""
        for index, block in enumerate(blocks if isinstance(blocks, list) else ()):
            text += self._begin(index, block)
            self._close(index)
        return text

    def _write(self, call: "_Call", piece: str) -> None:
        call.pieces.append(piece)
        self._written += len(piece)
        if self._written > LONGEST_ARGUMENTS:
            self._fail(Garbled(cause="the provider sent tool calls over the size limit"))

    def _count(self, usage: object) -> None:
        """Note what is counted so far: the start tells what was read, the end what was written."""
        if isinstance(usage, dict):
            self._counts |= {name: usage[name] for name in _USAGE if usage.get(name) is not None}

    def _end_message(self, document: dict[str, Any]) -> None:
        usage = document.get("usage")
        self._count(usage)
        if isinstance(usage, dict) and usage.get("output_tokens") is not None:
            self.usage = usage_of(self._counts)
        finish = finish_of(document["delta"].get("stop_reason"))
        if self.finish is not None or finish is None:
            return
        if finish is FinishReason.TOOL_CALLS:
            for index in self._calls:
                self._close(index)  # for gateways that close no block
        self.finish = finish
        self.refused = finish is FinishReason.FILTERED


class _Call:
    """A tool call while it is being written."""

    def __init__(self, block: dict[str, Any]) -> None:
        self.id = _string(block.get("id"))
        self.name = _string(block.get("name"))
        # Anthropic begins with an empty object and sends the text of the real one in pieces.
        self._given = block.get("input")
        self.pieces: list[str] = []

    def whole(self) -> ToolCall:
        arguments = "".join(self.pieces)
        if not arguments.strip():
            arguments = arguments_of(self._given)
        return ToolCall(id=self.id, name=self.name, arguments=well_formed(arguments))


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
