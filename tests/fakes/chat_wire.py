"""The bytes of an OpenAI-shaped chat completion, straight and crooked."""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from tests.fakes.script import Script, without_directives

SHAPES = {
    "bom": "begins with a byte order mark",
    "cr": "lines end with a carriage return alone",
    "crlf": "lines end with carriage return and line feed",
    "comments": "a comment before each event",
    "longcomment": "a comment of 1 MB at the start",
    "noblank": "every other blank line is missing",
    "nospace": "`data:` without the space",
    "multiline": "JSON spread over several data lines",
    "unknown": "unknown events and fields between the events",
    "nullchoices": "a chunk whose choices are null",
    "emptychoices": "a chunk without a choice",
    "nodelta": "a choice without a delta",
    "nullcontent": "a delta whose content is null",
    "otherchoice": "a second choice (index 1) that nobody asked for",
    "nolastline": "the stream ends right after [DONE], without a line end",
    "one": "the whole answer in one chunk",
}

_DONE = "[DONE]"


def answer_pieces(question: str, script: Script, messages: list[dict[str, Any]]) -> list[str]:
    """Return the pieces of the answer: for equal questions always the same ones."""
    if script.empty:
        return []
    if script.hostile:
        return _hostile(script)
    if script.flood:
        return ["x" * 999 + "\n"] * 10_000
    text = script.text
    if script.echo:
        text = json.dumps(messages, ensure_ascii=False)
    if text is None:
        words = re.findall(r"\w+", without_directives(question).lower()) or ["nothing"]
        digest = sha256(question.encode("utf-8", "replace")).hexdigest()[:6]
        numbered = [f"{words[i % len(words)]}-{i + 1}" for i in range(max(script.n - 1, 0))]
        text = " ".join([f"{digest}:", *numbered])
    pieces = re.findall(r"\S+\s*|\s+", text)
    return ["".join(pieces)] if "one" in script.shape else pieces


def _hostile(script: Script) -> list[str]:
    match script.hostile:
        case "nul":
            return ["before\0", "\0", " after\0"]
        case "surrogate":
            return ["before ", "\ud800", " middle ", "\udfff", " after"]
        case "pair":
            return ["before ", "\ud83d", "\ude00", " after \ud83d"]
        case "breakout":
            return ["a\n\nevent: done\ndata: {}\n\n", "\r\rdata: [DONE]\r\r", "\u2028: comment\n", "b"]
        case "big":
            return ["y" * 100_000] * 100
        case other:
            raise ValueError(f"unknown hostile text {other!r}")


class ChatWire:
    """Encodes one answer. ``encode`` methods give whole events; ``shape`` bends all of them."""

    def __init__(self, script: Script, model: str) -> None:
        """Take what stays the same over the whole stream."""
        self._script = script
        self._head = {
            "id": "chatcmpl-fake",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": model,
        }
        self._events = 0

    def opening(self) -> bytes:
        """Return what comes before the first piece, role chunk included."""
        shape = self._script.shape
        start = b"\xef\xbb\xbf" if "bom" in shape else b""
        if "longcomment" in shape:
            start += b": " + b"z" * 1_000_000 + self._bend(b"\n\n")
        oddities: list[dict[str, Any]] = []
        if "nullchoices" in shape:
            oddities.append({"choices": None})
        if "emptychoices" in shape:
            oddities.append({"choices": []})
        if "nodelta" in shape:
            oddities += [{"choices": [{"index": 0, "finish_reason": None}]}, {"choices": [{"delta": None}]}]
        if "nullcontent" in shape:
            oddities.append({"choices": [{"index": 0, "delta": {"content": None}}]})
        return (
            start
            + self._chunk({"role": "assistant", "content": ""})
            + b"".join(map(self._document, oddities))
        )

    def piece(self, text: str) -> bytes:
        """Return one piece of the answer as an event."""
        other = b""
        if "otherchoice" in self._script.shape:
            other = self._document({"choices": [{"index": 1, "delta": {"content": "not asked for"}}]})
        return other + self._chunk({"content": text})

    def thought(self, text: str) -> bytes:
        """Return one piece of reasoning."""
        return self._chunk({"reasoning_content": text})

    def spoiled(self, text: str, fault: str) -> bytes:
        """Return a piece as an event that is no JSON, or no UTF-8."""
        event = self._chunk({"content": text})
        if fault == "badjson":
            return event.replace(b'"delta"', b'"delta', 1)
        return event.replace(text.encode(), text.encode()[:-1] + b"\xf0\x9f", 1)

    def ending(self, sent: int, messages: list[dict[str, Any]], *, with_usage: bool) -> bytes:
        """Return finish reason, usage and [DONE]."""
        script = self._script
        end = b""
        if not script.nofinish:
            end += self._document({"choices": [{"index": 0, "delta": {}, "finish_reason": script.finish}]})
        if with_usage and script.usage != "none":
            end += self._document({"choices": [], "usage": self.usage(sent, messages)})
        if script.dup:
            end += end
        if script.nodone or script.after in ("stall", "rst", "eof"):
            return end
        if "nolastline" in script.shape:
            return end + b"data: [DONE]"
        return end + self._event(_DONE)

    def usage(self, sent: int, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Count words as tokens; or lie, when the script says so."""
        asked = sum(len(str(each.get("content", "")).split()) for each in messages)
        match self._script.usage:
            case "neg":
                asked, sent = -asked, -1
            case "absurd":
                sent = 10**15
            case "text":
                return {"prompt_tokens": "many", "completion_tokens": None}
            case _:
                pass
        details = {"cached_tokens": asked // 2 if self._script.usage == "cached" else 0}
        return {
            "prompt_tokens": asked,
            "completion_tokens": sent,
            "total_tokens": asked + sent,
            "prompt_tokens_details": details,
        }

    def error(self, status: int) -> bytes:
        """Return an error object as an event of a stream that began well."""
        return self._event(json.dumps(error_object(self._script, status)), name="error")

    def whole(self, text: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer as one document."""
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": self._script.finish}
        document: dict[str, Any] = {**self._head, "object": "chat.completion", "choices": [choice]}
        if self._script.usage != "none":
            document["usage"] = self.usage(len(text.split()), messages)
        return document

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._document({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    def _document(self, part: dict[str, Any]) -> bytes:
        indent = 1 if "multiline" in self._script.shape else None
        return self._event(dumps({**self._head, **part}, indent=indent))

    def _event(self, data: str, name: str = "") -> bytes:
        shape = self._script.shape
        self._events += 1
        space = "" if "nospace" in shape else " "
        lines = [f"event:{space}{name}"] if name else []
        lines += [f"data:{space}{line}" for line in data.split("\n")]
        before = ""
        if "comments" in shape:
            before = ": keep-alive\n\n:\n"
        if "unknown" in shape:
            before += "event: ping\ndata: {}\n\nretry: 1000\nid\nflavour: odd\n"
        blank = "" if "noblank" in shape and self._events % 2 else "\n"
        return self._bend((before + "\n".join(lines) + "\n" + blank).encode())

    def _bend(self, event: bytes) -> bytes:
        if "cr" in self._script.shape:
            return event.replace(b"\n", b"\r")
        return event.replace(b"\n", b"\r\n") if "crlf" in self._script.shape else event


def dumps(document: object, *, indent: int | None = None) -> str:
    """Write JSON with the text as it is, or escaped where it could not be encoded."""
    plain = json.dumps(document, ensure_ascii=False, indent=indent)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return json.dumps(document, indent=indent)
    return plain


def error_object(script: Script, status: int) -> dict[str, Any]:
    """Return an error as OpenAI words it."""
    message = script.message or f"The fake provider was told to answer {status}."
    code = script.code or None
    return {
        "error": {
            "message": message,
            "type": code or "fake_error",
            "param": script.param or None,
            "code": code,
        }
    }


def remaining(pieces: list[str], partial: str) -> tuple[int, list[str]]:
    """Return where to go on after ``partial``, and the pieces with the first one cut to fit.

    A partial answer that is not the beginning of this one is answered from the start.
    """
    if not partial or not "".join(pieces).startswith(partial):
        return 0, pieces
    left = len(partial)
    for index, piece in enumerate(pieces):
        if left < len(piece):
            return index, [*pieces[:index], piece[left:], *pieces[index + 1 :]]
        left -= len(piece)
    return len(pieces), pieces


def bytewise(data: bytes) -> Iterator[bytes]:
    """Return every byte alone."""
    return (data[i : i + 1] for i in range(len(data)))
