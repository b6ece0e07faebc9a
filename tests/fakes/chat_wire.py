"""The bytes of an OpenAI-shaped chat completion, straight and crooked."""

import base64
import json
from typing import Any

from tests.fakes.answers import answer_pieces, dumps, question_of, remaining
from tests.fakes.embedding import texts_of, vector_of, words_of
from tests.fakes.script import Call, Script
from tests.fakes.service import Asked, EventWriter, Page, Request, Service, counted

__all__ = ["CALL_SHAPES", "MODELS", "SERVICE", "SHAPES", "ChatWire", "answer_pieces", "remaining"]

MODELS = ("fake", "fake-small")

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

CALL_SHAPES = {
    "noid": "tool calls without ids",
    "sameid": "all tool calls have the same id",
    "noindex": "tool calls without their index",
    "sameindex": "every tool call has the index 0",
    "atonce": "each tool call in one piece",
    "allatonce": "all tool calls in one chunk",
    "interleaved": "the pieces of all tool calls by turns",
    "object": "the arguments are an object and not a string",
    "saysstop": "the finish reason is `stop` although tools are called",
    "legacy": "one `function_call`, as before there were tools",
}

_DONE = "[DONE]"


class ChatWire:
    """Encodes one answer; the script's ``shape`` bends all of it."""

    def __init__(self, script: Script, asked: Asked) -> None:
        """Take what stays the same over the whole stream."""
        self._script = script
        self._asked = asked
        self._events = EventWriter(script)
        self._called = False
        self._head = {
            "id": "chatcmpl-fake",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": asked.model,
        }

    def opening(self) -> bytes:
        """Return what comes before the first piece, role chunk included."""
        shape = self._script.shape
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
            self._events.start()
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

    def calls(self, calls: tuple[Call, ...]) -> list[bytes]:
        """Return the tool calls: a piece with id and name, then the arguments in pieces of four."""
        self._called = True
        shape = self._script.shape
        if "legacy" in shape:
            first, *rest = self._pieces_of(0, calls[0])
            legacy = [first["function"], *(each["function"] for each in rest)]
            return [self._chunk({"function_call": each}) for each in legacy]
        lanes = [self._pieces_of(number, call) for number, call in enumerate(calls)]
        if "allatonce" in shape:
            return [self._chunk({"tool_calls": [piece for lane in lanes for piece in lane]})]
        if "interleaved" in shape:
            longest = max(map(len, lanes))
            pieces = [lane[turn] for turn in range(longest) for lane in lanes if turn < len(lane)]
        else:
            pieces = [piece for lane in lanes for piece in lane]
        return [self._chunk({"tool_calls": [piece]}) for piece in pieces]

    def _pieces_of(self, number: int, call: Call) -> list[dict[str, Any]]:
        shape = self._script.shape
        place: dict[str, Any] = {"index": 0 if "sameindex" in shape else number}
        if "noindex" in shape:
            place = {}
        first: dict[str, Any] = {**place, "id": call.id or f"call_{number}", "type": "function"}
        if "noid" in shape:
            del first["id"]
        elif "sameid" in shape:
            first["id"] = "call_same"
        if "atonce" in shape or "allatonce" in shape or "object" in shape:
            arguments = json.loads(call.arguments) if "object" in shape else call.arguments
            return [{**first, "function": {"name": call.name, "arguments": arguments}}]
        cuts = [call.arguments[at : at + 4] for at in range(0, len(call.arguments), 4)]
        more = [{**place, "function": {"arguments": each}} for each in cuts]
        return [{**first, "function": {"name": call.name, "arguments": ""}}, *more]

    def ending(self, sent: int) -> bytes:
        """Return finish reason, usage and [DONE]."""
        script = self._script
        end = b""
        if not script.nofinish:
            end += self._document({"choices": [{"index": 0, "delta": {}, "finish_reason": self._reason()}]})
        if self._asked.with_usage and script.usage != "none":
            end += self._document({"choices": [], "usage": self._usage(sent)})
        if script.dup:
            end += end
        if script.nodone or script.after in ("stall", "rst", "eof"):
            return end
        if "nolastline" in script.shape:
            return end + b"data: [DONE]"
        return end + self._events.event(_DONE)

    def _reason(self) -> str:
        if self._called and self._script.finish == "stop" and "saysstop" not in self._script.shape:
            return "function_call" if "legacy" in self._script.shape else "tool_calls"
        return self._script.finish

    def _usage(self, sent: int) -> dict[str, Any]:
        if self._script.usage == "text":
            return {"prompt_tokens": "many", "completion_tokens": None}
        count = counted(self._script, self._asked.messages, sent)
        return {
            "prompt_tokens": count["asked"],
            "completion_tokens": count["said"] + self._script.thoughts,
            "total_tokens": count["asked"] + count["said"] + self._script.thoughts,
            "prompt_tokens_details": {"cached_tokens": count["cached"]},
            "completion_tokens_details": {"reasoning_tokens": self._script.thoughts},
        }

    def error(self, status: int) -> bytes:
        """Return an error object as an event of a stream that began well."""
        return self._events.event(json.dumps(error_object(self._script, status)), name="error")

    def whole(self, text: str, calls: tuple[Call, ...]) -> dict[str, Any]:
        """Return the answer as one document."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            self._called = True
            message["tool_calls"] = [
                {
                    "id": call.id or f"call_{number}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for number, call in enumerate(calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._reason()}
        document: dict[str, Any] = {**self._head, "object": "chat.completion", "choices": [choice]}
        if self._script.usage != "none":
            document["usage"] = self._usage(len(text.split()))
        return document

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._document({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    def _document(self, part: dict[str, Any]) -> bytes:
        return self._events.event(dumps({**self._head, **part}, indent=self._events.indent))


def error_object(script: Script, status: int) -> dict[str, Any]:
    """Return an error as OpenAI words it."""
    message = script.message or f"The fake provider was told to answer {status}."
    code = script.code or None
    return {
        "error": {
            "message": message,
            "type": code or "fake_error",
            "param": script.param or script.needs or None,
            "code": code,
        }
    }


def read(request: Request) -> Asked:
    """Read a chat request."""
    body, messages = request.body, request.messages
    _check(body, messages)
    newest = max((i for i, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    last = messages[-1] if messages else {}
    return Asked(
        model=str(body.get("model", "")),
        question=question_of(messages),
        messages=messages,
        stream=bool(body.get("stream")),
        partial=str(last.get("content") or "") if last.get("role") == "assistant" else "",
        rounds=sum(bool(each.get("tool_calls")) for each in messages[newest + 1 :]),
        images=tuple(image for each in messages for image in _images(each.get("content"))),
        tools=tuple(each["function"]["name"] for each in body.get("tools", ())),
        with_usage=bool((body.get("stream_options") or {}).get("include_usage")),
    )


def _check(body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    """Refuse what OpenAI refuses."""
    if "tool_choice" in body and not body.get("tools"):
        raise ValueError("'tool_choice' is only allowed when 'tools' are specified.")
    open_calls: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise ValueError("messages with role 'tool' must follow a message with 'tool_calls'.")
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise ValueError("'tool_calls' must be followed by tool messages responding to each of them.")
        open_calls = {call["id"] for call in message.get("tool_calls") or ()}
        if not (open_calls or message.get("content")) and message.get("role") != "user":
            raise ValueError("Invalid value for 'content': expected a string, got null.")
    if open_calls:
        raise ValueError("'tool_calls' must be followed by tool messages responding to each of them.")


def _images(content: object) -> list[bytes]:
    if not isinstance(content, list):
        return []
    addresses = [part["image_url"]["url"] for part in content if part.get("type") == "image_url"]
    return [base64.b64decode(address.partition(";base64,")[2], validate=True) for address in addresses]


def _models(script: Script, request: Request) -> object:
    data = [{"id": name, "object": "model", "owned_by": "tests"} for name in MODELS]
    return {"object": "list", "data": data}


def _embeddings(script: Script, request: Request) -> object:
    texts = texts_of(request)
    data = []
    for index, text in enumerate(texts):
        vector = vector_of(text, request.body.get("dimensions"))
        as_text = request.body.get("encoding_format") == "base64"
        data.append(
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode() if as_text else list(vector),
            }
        )
    if "reversed" in script.shape:
        data.reverse()
    words = sum(len(text.split()) for text in texts)
    usage = {"usage": {"prompt_tokens": words, "total_tokens": words}} if script.usage != "none" else {}
    return {"object": "list", "data": data, "model": request.body.get("model"), **usage}


SERVICE = Service(
    name="openai",
    path="/v1/chat/completions",
    read=read,
    wire=ChatWire,
    error=error_object,
    pages=(
        Page("GET", "/v1/models", _models),
        Page("POST", "/v1/embeddings", _embeddings, question=words_of),
    ),
)
