"""The bytes of Ollama's own API, straight and crooked."""

import base64
import json
from typing import Any

from tests.fakes.answers import dumps, question_of
from tests.fakes.embedding import texts_of, vector_of, words_of
from tests.fakes.script import Call, Script
from tests.fakes.service import Asked, Page, Request, Service, counted

__all__ = ["CALL_SHAPES", "MODELS", "SERVICE", "SHAPES", "OllamaWire"]

MODELS = ("fake:latest", "fake-small:1b", "nomic-embed-text:latest")
CONTEXT_LENGTH = 40_960

SHAPES = {
    "bom": "begins with a byte order mark",
    "crlf": "lines end with carriage return and line feed",
    "blank": "a blank line after each line",
    "unknown": "lines and fields that nobody knows",
    "nullcontent": "a message whose content is null",
    "nomessage": "a line without a message",
    "nolastline": "the stream ends without a line end",
    "lasttext": "the last words are in the line that ends the answer",
}

CALL_SHAPES = {
    "noid": "tool calls without ids, as of older versions",
    "sameid": "all tool calls have the same id",
    "allatonce": "all tool calls in one line",
}


class OllamaWire:
    """Encodes one answer; the script's ``shape`` bends all of it."""

    def __init__(self, script: Script, asked: Asked) -> None:
        """Take what stays the same over the whole stream."""
        self._script = script
        self._asked = asked
        self._head = {"model": asked.model, "created_at": "2026-11-21T12:00:00.000000Z"}
        self._held = ""

    def opening(self) -> bytes:
        """Return what comes before the first piece."""
        shape = self._script.shape
        start = b"\xef\xbb\xbf" if "bom" in shape else b""
        if "nullcontent" in shape:
            start += self._message({"role": "assistant", "content": None})
        if "nomessage" in shape:
            start += self._line({"done": False})
        return start

    def piece(self, text: str) -> bytes:
        """Return one piece of the answer as a line."""
        if "lasttext" in self._script.shape:
            text, self._held = self._held, text
            if not text:
                return b""
        return self._message({"role": "assistant", "content": text})

    def thought(self, text: str) -> bytes:
        """Return one piece of reasoning."""
        return self._message({"role": "assistant", "content": "", "thinking": text})

    def spoiled(self, text: str, fault: str) -> bytes:
        """Return a piece as a line that is no JSON, or no UTF-8."""
        line = self._message({"role": "assistant", "content": text})
        if fault == "badjson":
            return line.replace(b'"message"', b'"message', 1)
        return line.replace(text.encode(), text.encode()[:-1] + b"\xf0\x9f", 1)

    def calls(self, calls: tuple[Call, ...]) -> list[bytes]:
        """Return the tool calls, each whole in a line of its own."""
        if "allatonce" in self._script.shape:
            return [self._message(self._calling(0, *calls))]
        return [self._message(self._calling(number, call)) for number, call in enumerate(calls)]

    def _calling(self, number: int, *calls: Call) -> dict[str, Any]:
        written = []
        for at, call in enumerate(calls, start=number):
            function = {"index": at, "name": call.name, "arguments": json.loads(call.arguments)}
            identity = "call_same" if "sameid" in self._script.shape else call.id or f"call_{at}"
            named = {} if "noid" in self._script.shape else {"id": identity}
            written.append({**named, "function": function})
        return {"role": "assistant", "content": "", "tool_calls": written}

    def ending(self, sent: int) -> bytes:
        """Return the line that ends the answer, with its counts."""
        if self._script.nofinish:
            return b""
        message = {"role": "assistant", "content": self._held}
        end = self._line({"message": message, **self._counts(sent)})
        if "nolastline" in self._script.shape:
            return end.rstrip(b"\r\n")
        return end * 2 if self._script.dup else end

    def _counts(self, sent: int) -> dict[str, Any]:
        counts: dict[str, Any] = {}
        match self._script.usage:
            case "none":
                pass
            case "text":
                counts = {"prompt_eval_count": "many", "eval_count": None}
            case _:
                count = counted(self._script, self._asked.messages, sent)
                said = count["said"] + self._script.thoughts
                counts = {"prompt_eval_count": count["asked"], "eval_count": said}
        times = {"total_duration": 5_000_000, "load_duration": 1_000_000, "eval_duration": 3_000_000}
        return {"done": True, "done_reason": self._script.finish, **times, **counts}

    def error(self, status: int) -> bytes:
        """Return an error as a line of a stream that began well."""
        return self._line(error_object(self._script, status))

    def whole(self, text: str, calls: tuple[Call, ...]) -> dict[str, Any]:
        """Return the answer as one document."""
        message = {"role": "assistant", "content": text}
        if calls:
            message = {**self._calling(0, *calls), "content": text}
        return {**self._head, "message": message, **self._counts(len(text.split()))}

    def _message(self, message: dict[str, Any]) -> bytes:
        return self._line({**self._head, "message": message, "done": False})

    def _line(self, document: dict[str, Any]) -> bytes:
        shape = self._script.shape
        odd = '{"weather":"fine"}\n' if "unknown" in shape else ""
        line = odd + dumps(document) + ("\n\n" if "blank" in shape else "\n")
        return line.replace("\n", "\r\n").encode() if "crlf" in shape else line.encode()


_SENTENCES = {
    "context_length_exceeded": "the input length exceeds the context length",
    "overloaded_error": "server busy, please try again.  maximum pending requests exceeded",
    "model_not_found": "model 'fake' not found",
    "invalid_api_key": "unauthorized",
}


def error_object(script: Script, status: int) -> dict[str, Any]:
    """Return an error: a sentence as Ollama words it, or a code as a gateway in front of it does."""
    if script.message or not script.code:
        return {"error": script.message or f"the fake provider was told to answer {status}"}
    if script.code in _SENTENCES:
        return {"error": _SENTENCES[script.code]}
    return {"error": {"code": script.code, "message": f"told to answer {status}"}}


def read(request: Request) -> Asked:
    """Read a chat request."""
    body, messages = request.body, request.messages
    newest = max((i for i, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    last = messages[-1] if messages else {}
    return Asked(
        model=str(body.get("model", "")),
        question=question_of(messages),
        messages=messages,
        stream=bool(body.get("stream", True)),
        partial=str(last.get("content") or "") if last.get("role") == "assistant" else "",
        rounds=sum(bool(each.get("tool_calls")) for each in messages[newest + 1 :]),
        images=tuple(
            base64.b64decode(each, validate=True)
            for message in messages
            for each in message.get("images") or ()
        ),
        tools=tuple(each["function"]["name"] for each in body.get("tools") or ()),
    )


def _tags(script: Script, request: Request) -> object:
    families = ("llama", "llama", "nomic-bert")
    return {
        "models": [
            {"name": name, "model": name, "size": 1_000_000, "details": {"family": family}}
            for name, family in zip(MODELS, families, strict=True)
        ]
    }


def _show(script: Script, request: Request) -> object:
    return {
        "details": {"family": "llama"},
        "model_info": {"general.architecture": "llama", "llama.context_length": CONTEXT_LENGTH},
        "capabilities": ["completion", "tools", "vision"],
    }


def _embed(script: Script, request: Request) -> object:
    texts = texts_of(request)
    vectors = [list(vector_of(text, request.body.get("dimensions"))) for text in texts]
    words = sum(len(text.split()) for text in texts)
    counts = {} if script.usage == "none" else {"prompt_eval_count": words}
    return {"model": request.body.get("model"), "embeddings": vectors, **counts}


SERVICE = Service(
    name="ollama",
    path="/api/chat",
    read=read,
    wire=OllamaWire,
    error=error_object,
    pages=(
        Page("GET", "/api/tags", _tags),
        Page("POST", "/api/show", _show),
        Page("POST", "/api/embed", _embed, question=words_of),
    ),
    content_type="application/x-ndjson",
)
