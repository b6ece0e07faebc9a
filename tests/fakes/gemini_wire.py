"""The bytes of an answer as Google's Gemini API sends it, and a strict reading of what it is sent."""

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

from parlour.llm.prompting import GO_ON_NOW
from tests.fakes.answers import dumps, question_of
from tests.fakes.embedding import GEMINI_PAGE
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
    "nocandidates": "a document without candidates, one with none and one whose content is missing",
    "signed": "a signature on each piece of text",
    "halves": "each piece of text in two parts",
    "early": "the finish reason comes with the last piece of text",
    "late": "the count of tokens comes after the finish reason",
    "otherchoice": "a second candidate (index 1) that nobody asked for",
}

CALL_SHAPES = {
    "noid": "tool calls without ids",
    "allatonce": "all tool calls in one document",
    "noargs": "no `args` where there are none",
}

MODELS = ("gemini-fake", "gemini-fake-small")

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_STAND_IN = "skip_thought_signature_validator"


class GeminiWire:
    """Encodes one answer; the script's ``shape`` bends all of it."""

    def __init__(self, script: Script, asked: Asked) -> None:
        """Take what stays the same over the whole stream."""
        self._script = script
        self._asked = asked
        self._events = EventWriter(script)
        self._malformed = False

    def opening(self) -> bytes:
        """Return what comes before the first piece: at Gemini, nothing."""
        odd: list[dict[str, Any]] = []
        if "nocandidates" in self._script.shape:
            odd = [{}, {"candidates": []}, {"candidates": [{"index": 0}]}, {"candidates": None}]
        return self._events.start() + b"".join(map(self._document, odd))

    def piece(self, text: str) -> bytes:
        """Return one piece of the answer."""
        shape, parts = self._script.shape, [{"text": text}]
        if "halves" in shape:
            parts = [{"text": text[: len(text) // 2]}, {"text": text[len(text) // 2 :]}]
        if "signed" in shape:
            parts[-1]["thoughtSignature"] = _signature("text")
        other = b""
        if "otherchoice" in shape:
            content = {"parts": [{"text": "not asked for"}], "role": "model"}
            other = self._document({"candidates": [{"content": content, "index": 1}]})
        return other + self._said(parts)

    def thought(self, text: str) -> bytes:
        """Return one piece of thinking."""
        return self._said([{"text": text, "thought": True}])

    def spoiled(self, text: str, fault: str) -> bytes:
        """Return a piece as an event that is no JSON, or no UTF-8."""
        event = self._said([{"text": text}])
        if fault == "badjson":
            return event.replace(b'"parts"', b'"parts', 1)
        return event.replace(text.encode(), text.encode()[:-1] + b"\xf0\x9f", 1)

    def calls(self, calls: tuple[Call, ...]) -> list[bytes]:
        """Return the tool calls, each whole; the first carries the signature of the thought behind all."""
        self._malformed = any(not isinstance(_json(call.arguments), dict) for call in calls)
        if self._malformed:
            return []
        parts = self._call_parts(calls)
        if "allatonce" in self._script.shape:
            return [self._said(parts)]
        return [self._said([part]) for part in parts]

    def _call_parts(self, calls: tuple[Call, ...]) -> list[dict[str, Any]]:
        shape, parts = self._script.shape, []
        for number, call in enumerate(calls):
            function: dict[str, Any] = {"name": call.name, "args": _json(call.arguments)}
            if "noid" not in shape:
                function["id"] = call.id or f"fc_{number}"
            if "noargs" in shape and not function["args"]:
                del function["args"]
            part: dict[str, Any] = {"functionCall": function}
            parts.append(part if number else {**part, "thoughtSignature": _signature(call.name)})
        return parts

    def ending(self, sent: int) -> bytes:
        """Return finish reason and usage."""
        script, counts = self._script, self._usage(sent)
        candidate: dict[str, Any] = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0}
        if not script.nofinish:
            candidate["finishReason"] = self._reason()
        if self._reason() == "SAFETY":
            del candidate["content"]
        if "late" in script.shape:
            end = self._document({"candidates": [candidate]}) + self._document(counts)
        else:
            end = self._document({"candidates": [candidate], **counts})
        return end + end if script.dup else end

    def error(self, status: int) -> bytes:
        """Return an error as an event of a stream that began well."""
        return self._events.event(json.dumps(error_object(self._script, status)))

    def whole(self, text: str, calls: tuple[Call, ...]) -> dict[str, Any]:
        """Return the answer as one document."""
        parts: list[dict[str, Any]] = [{"text": text}] if text else []
        content = {"parts": [*parts, *self._call_parts(calls)], "role": "model"}
        candidate = {"content": content, "finishReason": self._reason(), "index": 0}
        return {"candidates": [candidate], **self._usage(len(text.split())), **self._tail()}

    def _reason(self) -> str:
        if self._malformed:
            return "MALFORMED_FUNCTION_CALL"
        return _FINISH.get(self._script.finish, self._script.finish)

    def _usage(self, sent: int) -> dict[str, Any]:
        script = self._script
        if script.usage == "none":
            return {}
        if script.usage == "text":
            return {"usageMetadata": {"promptTokenCount": "many", "candidatesTokenCount": []}}
        count = counted(script, [{"content": self._asked.messages}], sent)
        counts = {
            "promptTokenCount": count["asked"],
            "candidatesTokenCount": count["said"],
            "totalTokenCount": count["asked"] + count["said"] + script.thoughts,
        }
        if count["cached"]:
            counts["cachedContentTokenCount"] = count["cached"]
        if script.thoughts:
            counts["thoughtsTokenCount"] = script.thoughts
        return {"usageMetadata": counts}

    def _said(self, parts: list[dict[str, Any]]) -> bytes:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        return self._document({"candidates": [candidate], **self._usage(1)})

    def _document(self, document: dict[str, Any]) -> bytes:
        return self._events.event(dumps({**document, **self._tail()}, indent=self._events.indent))

    def _tail(self) -> dict[str, Any]:
        return {"modelVersion": self._asked.model, "responseId": "fake"}


class BlockedWire(GeminiWire):
    """Answers a prompt that is blocked: no candidate, only why."""

    def opening(self) -> bytes:
        """Return all there is."""
        feedback = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        return self._document({**feedback, **self._usage(0)})

    def piece(self, text: str) -> bytes:  # noqa: ARG002 - nothing is said
        """Return nothing."""
        return b""

    def ending(self, sent: int) -> bytes:  # noqa: ARG002 - nothing was said
        """Return nothing."""
        return b""


def error_object(script: Script, status: int) -> object:
    """Return an error as Google words it; with the shape ``list``, as a list."""
    message = script.message or f"The fake provider was told to answer {status}."
    error: dict[str, Any] = {
        "code": status,
        "message": message,
        "status": script.code or _STATUSES.get(status, "UNKNOWN"),
    }
    if "retryinfo" in script.shape:
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.Help", "links": []}, delay]
    document = {"error": error}
    return [document] if "list" in script.shape else document


def _wire(script: Script, asked: Asked) -> GeminiWire:
    return (BlockedWire if script.finish == "blocked" else GeminiWire)(script, asked)


def read(request: Request) -> Asked:
    """Read a request, and refuse what Gemini would refuse."""
    body, contents = request.body, request.body.get("contents") or []
    found = re.fullmatch(
        r"/v1beta/models/(.+):(streamGenerateContent|generateContent)", unquote(request.path)
    )
    assert found is not None
    _check(contents, signed=not found[1].startswith("gemini-2"))
    talk = [_plain(each) for each in contents]
    partial = ""
    if talk[-1]["content"].strip() == GO_ON_NOW:
        talk.pop()
        partial = talk.pop()["content"]
    newest = max((at for at, each in enumerate(talk) if each["asks"]), default=-1)
    return Asked(
        model=found[1],
        question=question_of(talk[: newest + 1]),
        messages=contents,
        stream=found[2] == "streamGenerateContent",
        partial=partial,
        rounds=sum(each["calls"] > 0 for each in talk[newest + 1 :]),
        images=tuple(
            base64.b64decode(part["inlineData"]["data"], validate=True)
            for each in contents
            for part in each["parts"]
            if "inlineData" in part
        ),
        tools=tuple(
            each["name"] for tool in body.get("tools", ()) for each in tool.get("functionDeclarations", ())
        ),
    )


def _check(contents: list[dict[str, Any]], *, signed: bool) -> None:
    if not contents or contents[-1].get("role", "user") != "user":
        raise ValueError("Requests ending with a model turn are not supported.")
    if any(not each.get("parts") or not all(each["parts"]) for each in contents):
        raise ValueError("contents.parts must not be empty.")
    current = max(
        (at for at, each in enumerate(contents) if any("text" in part for part in _of_user(each))), default=0
    )
    open_calls: list[str] = []
    for at, each in enumerate(contents):
        answers = [part["functionResponse"] for part in each["parts"] if "functionResponse" in part]
        if [answer["name"] for answer in answers] != open_calls:
            raise ValueError("the number of function response parts must equal that of function call parts")
        calls = [part for part in each["parts"] if "functionCall" in part]
        open_calls = [part["functionCall"]["name"] for part in calls]
        allowed = (_STAND_IN, _signature(open_calls[0])) if calls else ()
        if signed and calls and at > current and calls[0].get("thoughtSignature") not in allowed:
            raise ValueError("Function call is missing a thought_signature in functionCall parts.")


def _of_user(content: dict[str, Any]) -> list[dict[str, Any]]:
    return content["parts"] if content.get("role", "user") == "user" else []


def _signature(of: str) -> str:
    return base64.b64encode(f"the thought behind {of}".encode()).decode()


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "role": "assistant" if content.get("role") == "model" else "user",
        "content": "".join(part.get("text", "") for part in content["parts"]),
        "calls": sum("functionCall" in part for part in content["parts"]),
        "asks": any("functionResponse" not in part for part in _of_user(content)),
    }


def _models(script: Script, request: Request) -> object:
    chat = [{"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]} for name in MODELS]
    other = {"name": "models/gemini-embedding-fake", "supportedGenerationMethods": ["embedContent"]}
    return {"models": [*chat, other]}


SERVICE = Service(
    name="gemini",
    path=r"/v1beta/models/.+(:|%3A)(streamGenerateContent|generateContent)",
    read=read,
    wire=_wire,
    error=error_object,
    pages=(Page("GET", "/v1beta/models", _models), GEMINI_PAGE),
)
