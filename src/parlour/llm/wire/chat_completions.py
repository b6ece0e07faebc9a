"""OpenAI's chat-completions stream, read: bytes in; text, tool calls, finish reason and usage out.

What every OpenAI-compatible server sends, and what they send wrongly, is dealt with here and nowhere else.
The common chunk takes the short way: one JSON decode and a few look-ups.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from parlour.llm.model import ToolCall
from parlour.llm.wire.events import LONGEST_ARGUMENTS, EventAnswer, arguments_of, counted
from parlour.llm.wire.sse import ServerEvent
from parlour.llm.wire.text import well_formed
from parlour.vocabulary.errors import Garbled
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

# Fifty at once have been seen; what is far beyond is a model that has lost its way.
MOST_CALLS = 128

_FINISH = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "content_filter": FinishReason.FILTERED,
    "safety": FinishReason.FILTERED,
    "refusal": FinishReason.FILTERED,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}

# A document with none of these is no chunk and no answer of this protocol.
_KNOWN = ("choices", "usage", "error", "object", "id", "model")


def usage_of(document: object) -> Usage | None:
    """Read a usage object; None where it is missing, negative, absurd or all zero, so that we estimate.

    OpenAI counts what was read from its prompt cache among the input, and thinking among the output. Servers
    that count thinking beside the output are told by their total.
    """
    if not isinstance(document, dict) or None in (
        document.get("prompt_tokens"),
        document.get("completion_tokens"),
    ):
        return None
    asked, said = counted(document.get("prompt_tokens")), counted(document.get("completion_tokens"))
    if asked is None or said is None or not (asked or said):
        return None
    thought = _detail(document, "completion_tokens_details", "reasoning_tokens")
    if thought and document.get("total_tokens") == asked + said + thought:
        said += thought
    cached = _detail(document, "prompt_tokens_details", "cached_tokens")
    cached = cached or counted(document.get("prompt_cache_hit_tokens")) or 0  # DeepSeek's word for it
    written = _detail(document, "prompt_tokens_details", "cache_write_tokens")
    return Usage(
        input_tokens=asked,
        output_tokens=said,
        cached_tokens=cached if cached <= asked else 0,
        cache_write_tokens=written if written <= asked else 0,
    )


def _detail(document: dict[str, Any], group: str, name: str) -> int:
    details = document.get(group)
    return (counted(details.get(name)) or 0) if isinstance(details, dict) else 0


def finish_of(word: object) -> FinishReason | None:
    """Map a finish reason; an unknown word ends the answer too, None and the empty word do not."""
    return _FINISH.get(word, FinishReason.STOP) if isinstance(word, str) and word else None


class ChatStream(EventAnswer):
    """The state of one answer while it comes in."""

    def __init__(self, *, secret: str = "") -> None:
        """Begin an answer; ``secret`` must not appear in an error's cause."""
        super().__init__(secret=secret)
        self._calls = CallPieces()

    def _piece(self, event: ServerEvent) -> str:
        try:
            choice = orjson.loads(event.data)["choices"][0]
            delta = choice["delta"]
            piece = delta["content"]
            alone = len(delta) == 1 or not (delta.get("tool_calls") or delta.get("function_call"))
            simple = alone and choice.get("finish_reason") is None and not (event.name or choice.get("index"))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            simple = False
        if simple and piece and type(piece) is str and self.finish is None:
            self.readable += 1
            return piece
        return self._slowly(event)

    def _slowly(self, event: ServerEvent) -> str:
        text = super()._slowly(event)
        if self.complete:
            self.calls += self._calls.whole(self.finish)
        return text

    def _known(self, document: dict[str, Any]) -> bool:
        return any(name in document for name in _KNOWN)

    def _whole(self, document: dict[str, Any]) -> str:
        text = self._take(document)
        self.calls += self._calls.whole(self.finish)
        return text

    def _take(self, document: dict[str, Any]) -> str:
        """Take what a chunk says about the answer; return its text, if it has any."""
        if document.get("error"):
            self._complain(document)
            return ""
        usage = usage_of(document.get("usage"))
        if usage is not None:
            self.usage = usage
        choices = document.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        # We ask for one choice. Words after the finish are a proxy's repetition.
        if not isinstance(choice, dict) or choice.get("index") or self.finish is not None:
            return ""
        text = self._said(choice)
        self.finish = finish_of(choice.get("finish_reason"))
        return text

    def _said(self, choice: dict[str, Any]) -> str:
        # A server that does not stream sends the whole message where the delta would be.
        delta = choice.get("delta") or choice.get("message")
        if not isinstance(delta, dict):
            return ""
        self.refused = self.refused or bool(delta.get("refusal"))
        self.lively = self.lively or bool(delta.get("reasoning_content") or delta.get("reasoning"))
        pieces = delta.get("tool_calls")
        if not isinstance(pieces, list):
            legacy = delta.get("function_call")
            pieces = [{"index": 0, "function": legacy}] if legacy else []
        for piece in pieces:
            if isinstance(piece, dict):
                self.lively = True
                self._calls.add(piece)
        if self._calls.too_many:
            self._fail(Garbled(cause="the provider sent tool calls over the size limit"))
        return _words(delta.get("content"))


@dataclass(slots=True)
class _Call:
    """A tool call that is coming in."""

    index: int | None
    id: str
    name: str
    arguments: str = ""

    @property
    def closed(self) -> bool:
        """Tell whether its arguments are a whole JSON document."""
        return is_json(self.arguments)


class CallPieces:
    """Puts together the tool calls of one answer.

    OpenAI tells the pieces of calls that come at the same time apart by an index. Some servers leave it out,
    others give each call the same one; then a new id, or a name after whole arguments, begins a new call.
    """

    def __init__(self) -> None:
        """Begin an answer without calls."""
        self._calls: list[_Call] = []
        self._size = 0

    @property
    def too_many(self) -> bool:
        """Tell whether no sane model would have sent so much."""
        return len(self._calls) > MOST_CALLS or self._size > LONGEST_ARGUMENTS

    def add(self, piece: dict[str, Any]) -> None:
        """Take one piece."""
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        index, name, identity = piece.get("index"), _string(function.get("name")), _string(piece.get("id"))
        index = index if type(index) is int else None
        call = self._open(index, identity, name)
        if call is None:
            call = _Call(index, identity, name)
            self._calls.append(call)
        call.id, call.name = call.id or identity, call.name or name
        arguments = function.get("arguments")
        arguments = arguments_of(arguments) if isinstance(arguments, dict) else _string(arguments)
        call.arguments += arguments
        self._size += len(arguments)

    def _open(self, index: int | None, identity: str, name: str) -> _Call | None:
        """Return the call that the piece belongs to; None if it begins a new one."""
        mine = [call for call in self._calls if index is None or call.index == index]
        if index is None and identity:
            mine = [call for call in mine if call.id == identity]
        if not mine:
            return None
        last = mine[-1]
        if identity and last.id and identity != last.id:
            return None
        return None if name and last.name and last.closed else last

    def whole(self, finish: FinishReason | None) -> list[ToolCall]:
        """Give out every call, once. One that the limit of tokens cut off is not given out."""
        found: dict[str, ToolCall] = {}
        for call in self._calls:
            arguments = well_formed(call.arguments.strip() or "{}")
            cut = finish is FinishReason.LENGTH and not is_json(arguments)
            if call.name and not cut and finish is not FinishReason.FILTERED:
                identity = call.id if call.id and call.id not in found else f"call_{secrets.token_hex(12)}"
                found[identity] = ToolCall(well_formed(identity), well_formed(call.name), arguments)
        self._calls.clear()
        return list(found.values())


def is_json(text: str) -> bool:
    """Tell whether ``text`` is one whole JSON document."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _words(content: object) -> str:
    """Return the text of a content, which some servers send as a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
