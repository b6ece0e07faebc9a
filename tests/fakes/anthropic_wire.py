"""The bytes of an answer as Anthropic's Messages API sends it, and a strict reading of what it is sent."""

import base64
import json
import re
from typing import Any

from parlour.llm.prompting import GO_ON_NOW
from tests.fakes.answers import dumps, question_of
from tests.fakes.script import Call, Script
from tests.fakes.service import Asked, EventWriter, Page, Request, Service, counted

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
    "one": "the whole answer in one piece",
    "nostart": "text without the event that begins its block",
    "gateway": "[DONE] at the end, as gateways add it",
    "twice": "every event that begins or ends a block comes twice",
    "cited": "citations between the pieces of text",
    "blocks": "a block of its own for each piece of text",
}

CALL_SHAPES = {
    "atonce": "the arguments of each call in one piece",
    "object": "the arguments as an object where the block begins",
    "saysstop": "the stop reason is `end_turn` although tools are called",
    "unclosed": "the blocks of tool calls do not end",
}

_ID = re.compile(r"[a-zA-Z0-9_-]+")

MODELS = ("claude-fake", "claude-fake-small")

_FINISH = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    502: "bad_gateway",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicWire:
    """Encodes one answer; the script's ``shape`` bends all of it."""

    def __init__(self, script: Script, asked: Asked) -> None:
        """Take what stays the same over the whole stream."""
        self._script = script
        self._asked = asked
        self._events = EventWriter(script)
        self._index = -1
        self._kind = ""  # of the block that is open
        self._called = False

    def opening(self) -> bytes:
        """Return what comes before the first piece."""
        message = {**self._message([]), "stop_reason": None, "usage": {**self._usage(0), "output_tokens": 1}}
        if self._script.usage == "none":
            del message["usage"]
        start = self._event("message_start", {"message": message})
        return self._events.start() + start + self._event("ping", {})

    def piece(self, text: str) -> bytes:
        """Return one piece of the answer, after the beginning of its block where there is none."""
        end = self._end_block() if "blocks" in self._script.shape else b""
        start = self._block("text", {"text": ""})
        if "cited" in self._script.shape:
            citation = {"type": "char_location", "cited_text": "x", "document_index": 0}
            start += self._delta({"type": "citations_delta", "citation": citation})
        return end + start + self._delta({"type": "text_delta", "text": text})

    def thought(self, text: str) -> bytes:
        """Return one piece of thinking."""
        start = self._block("thinking", {"thinking": "", "signature": ""})
        return start + self._delta({"type": "thinking_delta", "thinking": text})

    def spoiled(self, text: str, fault: str) -> bytes:
        """Return a piece as an event that is no JSON, or no UTF-8."""
        start, event = self._block("text", {"text": ""}), self._delta({"type": "text_delta", "text": text})
        if fault == "badjson":
            return start + event.replace(b'"delta"', b'"delta', 1)
        return start + event.replace(text.encode(), text.encode()[:-1] + b"\xf0\x9f", 1)

    def calls(self, calls: tuple[Call, ...]) -> list[bytes]:
        """Return the tool calls: a block each, the arguments in pieces of four after an empty one."""
        self._called = True
        end = self._end_block()
        return [end, *(event for call in calls for event in self._events_of(call))]

    def _events_of(self, call: Call) -> list[bytes]:
        shape = self._script.shape
        self._index += 1
        identity = call.id or f"toolu_{self._index}"
        given = json.loads(call.arguments) if "object" in shape else {}
        block = {"type": "tool_use", "id": identity, "name": call.name, "input": given}
        length = len(call.arguments) if "atonce" in shape else 4
        cuts = ["", *(call.arguments[at : at + length] for at in range(0, len(call.arguments), length))]
        pieces = [] if "object" in shape else cuts
        deltas = [self._delta({"type": "input_json_delta", "partial_json": each}) for each in pieces]
        end = [] if "unclosed" in shape else [self._edge("content_block_stop", {"index": self._index})]
        start = self._edge("content_block_start", {"index": self._index, "content_block": block})
        return [start, *deltas, *end]

    def ending(self, sent: int) -> bytes:
        """Return stop reason, usage and the end of the message."""
        script = self._script
        usage = {} if script.usage == "none" else {"usage": self._usage(sent)}
        delta = {"stop_reason": None if script.nofinish else self._reason(), "stop_sequence": None}
        end = self._end_block() + self._event("message_delta", {"delta": delta, **usage})
        if script.dup:
            end += self._event("message_delta", {"delta": delta, **usage})
        if script.nodone or script.after in ("stall", "rst", "eof"):
            return end
        end += self._event("message_stop", {})
        return end + self._events.event("[DONE]") if "gateway" in script.shape else end

    def error(self, status: int) -> bytes:
        """Return an error as an event of a stream that began well: at Anthropic, that it is overloaded."""
        return self._events.event(
            json.dumps(error_object(self._script, 529 if status == 503 else status)), name="error"
        )

    def whole(self, text: str, calls: tuple[Call, ...]) -> dict[str, Any]:
        """Return the answer as one document."""
        self._called = bool(calls)
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        content += [
            {
                "type": "tool_use",
                "id": call.id or f"toolu_{number}",
                "name": call.name,
                "input": json.loads(call.arguments),
            }
            for number, call in enumerate(calls, start=len(content))
        ]
        document: dict[str, Any] = {**self._message(content), "stop_reason": self._reason()}
        if self._script.usage != "none":
            document["usage"] = self._usage(len(text.split()))
        return document

    def _reason(self) -> str:
        if self._called and self._script.finish == "stop" and "saysstop" not in self._script.shape:
            return "tool_use"
        return _FINISH.get(self._script.finish, self._script.finish)

    def _message(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "model": self._asked.model,
            "content": content,
            "stop_sequence": None,
        }

    def _usage(self, sent: int) -> dict[str, Any]:
        if self._script.usage == "text":
            return {"input_tokens": "many", "output_tokens": "more"}
        count = counted(self._script, self._asked.messages, sent)
        written = count["asked"] // 4 if self._script.usage == "cached" else 0
        return {
            "input_tokens": count["asked"] - count["cached"] - written,
            "cache_read_input_tokens": count["cached"],
            "cache_creation_input_tokens": written,
            "output_tokens": count["said"] + self._script.thoughts,
        }

    def _block(self, kind: str, fields: dict[str, Any]) -> bytes:
        """Begin a block of this kind, unless one is open."""
        if self._kind == kind:
            return b""
        end = self._end_block()
        self._index += 1
        self._kind = kind
        if kind == "text" and "nostart" in self._script.shape:
            return end
        block = {"index": self._index, "content_block": {"type": kind, **fields}}
        return end + self._edge("content_block_start", block)

    def _end_block(self) -> bytes:
        if not self._kind:
            return b""
        self._kind = ""
        return self._edge("content_block_stop", {"index": self._index})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._event("content_block_delta", {"index": self._index, "delta": delta})

    def _edge(self, kind: str, fields: dict[str, Any]) -> bytes:
        times = 2 if "twice" in self._script.shape else 1
        return b"".join(self._event(kind, fields) for _ in range(times))

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        return self._events.event(dumps({"type": kind, **fields}, indent=self._events.indent), name=kind)


def error_object(script: Script, status: int) -> dict[str, Any]:
    """Return an error as Anthropic words it."""
    message = script.message or f"The fake provider was told to answer {status}."
    return {
        "type": "error",
        "error": {"type": script.code or _ERRORS.get(status, "api_error"), "message": message},
        "request_id": "req_fake",
    }


def read(request: Request) -> Asked:
    """Read a request, and refuse what Anthropic would refuse."""
    body, messages = request.body, request.messages
    _check(request)
    talk = [_plain(each) for each in messages]
    partial = ""
    if talk[-1]["content"].strip() == GO_ON_NOW:
        talk.pop()
        partial = talk.pop()["content"]
    newest = max((at for at, each in enumerate(talk) if each["asks"]), default=-1)
    return Asked(
        model=str(body.get("model", "")),
        question=question_of(talk[: newest + 1]),
        messages=messages,
        stream=bool(body.get("stream")),
        partial=partial,
        rounds=sum(each["calls"] > 0 for each in talk[newest + 1 :]),
        images=tuple(
            base64.b64decode(block["source"]["data"], validate=True)
            for each in messages
            for block in _blocks(each)
            if block["type"] == "image"
        ),
        tools=tuple(each["name"] for each in body.get("tools", ())),
    )


def _check(request: Request) -> None:
    body, messages = request.body, request.messages
    if "anthropic-version" not in request.headers:
        raise ValueError("anthropic-version: header is required")
    if type(body.get("max_tokens")) is not int or body["max_tokens"] < 1:
        raise ValueError("max_tokens: Field required")
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("This model does not support assistant message prefill.")
    blocks = [block for each in messages for block in _blocks(each)]
    if any(not _blocks(each) for each in messages) or any(
        block["type"] == "text" and not block["text"].strip() for block in blocks
    ):
        raise ValueError("messages: text content blocks must contain non-whitespace text")
    marks = [block for block in [*blocks, *_parts(body.get("system"))] if "cache_control" in block]
    if len(marks) > 4:
        raise ValueError("A maximum of 4 blocks with cache_control may be provided.")
    if not all(_ID.fullmatch(block.get("id", block.get("tool_use_id", "_"))) for block in blocks):
        raise ValueError("messages: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    open_calls: set[str] = set()
    for each in messages:
        found = _blocks(each)
        answered = {block["tool_use_id"] for block in found if block["type"] == "tool_result"}
        if answered != open_calls:
            raise ValueError("messages: `tool_use` ids must be answered by `tool_result` blocks right after")
        open_calls = {block["id"] for block in found if block["type"] == "tool_use"}


def _parts(content: object) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    return _parts(message.get("content"))


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    blocks = _blocks(message)
    return {
        "role": message["role"],
        "content": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "calls": sum(block["type"] == "tool_use" for block in blocks),
        "asks": message["role"] == "user" and any(block["type"] != "tool_result" for block in blocks),
    }


def _models(script: Script, request: Request) -> object:
    data = [{"type": "model", "id": name, "display_name": name.title()} for name in MODELS]
    return {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}


SERVICE = Service(
    name="anthropic",
    path="/v1/messages",
    read=read,
    wire=AnthropicWire,
    error=error_object,
    pages=(Page("GET", "/v1/models", _models, header="anthropic-version"),),
)
