"""From OpenAI's request to our prompt: pure, and with a clear refusal for what cannot be honoured."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from parlour.entrypoints.openai_api.schemas import ChatBody, EmbeddingsBody, Json
from parlour.llm.model import Image, Prompt, Tool, ToolCall, Turn
from parlour.vocabulary.errors import FieldError, InvalidInput

MOST_STOPS: Final = 4
MOST_INPUTS: Final = 2_048
IMAGE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_DATA_URL: Final = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said, in our words. ``system`` holds all instructions, in their order."""

    system: str
    turns: tuple[Turn, ...]


def read_prompt(body: ChatBody) -> Prompt:
    """Return the prompt that a request asks a model. Raises InvalidInput."""
    refuse_unsupported(body)
    conversation = read_conversation(body.messages)
    tools = tuple(_tool(place, tool) for place, tool in enumerate(body.tools or ()))
    return Prompt(
        system=conversation.system,
        turns=conversation.turns,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        stop=_stops(body.stop),
        tools=tools,
        tool_choice=_tool_choice(body.tool_choice, tools),
        output_schema=_output_schema(body.response_format),
    )


def refuse_unsupported(body: ChatBody) -> None:
    """Raise InvalidInput for what would change the answer's meaning and cannot be done."""
    if body.n not in (None, 1):
        _refuse("n", "Only one choice can be asked for: leave n out, or set it to 1.")
    if body.logprobs or body.top_logprobs:
        _refuse("logprobs" if body.logprobs else "top_logprobs", "Log probabilities are not available.")
    if body.audio or "audio" in (body.modalities or ()):
        _refuse("modalities", "Answers are text; there is no audio.")
    if body.functions or body.function_call:
        _refuse("functions", "Functions are given as tools: use tools and tool_choice.")


def read_conversation(messages: list[Json]) -> Conversation:
    """Read messages: any instructions, then what was said, up to a user's message or results of tools.

    Raises InvalidInput, naming the message, for what has no place in a conversation.
    """
    reader = _Reader()
    for place, message in enumerate(messages):
        reader.take(f"messages.{place}", message)
    reader.end(f"messages.{len(messages) - 1}")
    return Conversation("\n\n".join(filter(None, reader.system)), tuple(reader.turns))


class _Reader:
    """Takes messages one by one; every call of a tool must have its result before anything else is said."""

    def __init__(self) -> None:
        self.system: list[str] = []
        self.turns: list[Turn] = []
        self._open: dict[str, str] = {}  # calls without a result, with the place of their message

    def take(self, where: str, message: Json) -> None:
        role = message.get("role")
        if role != "tool" and self._open:
            self._refuse_open()
        match role:
            case "system" | "developer":
                self.system.append(_text(where, message.get("content")))
            case "user":
                text, images = _content(where, message.get("content"))
                self.turns.append(Turn("user", text, images=images))
            case "assistant":
                self.turns.append(self._assistant(where, message))
            case "tool":
                self.turns.append(self._result(where, message))
            case _:
                _refuse(f"{where}.role", "This must be system, developer, user, assistant or tool.")

    def end(self, where: str) -> None:
        if self._open:
            self._refuse_open()
        if not self.turns or self.turns[-1].role == "assistant":
            _refuse(f"{where}.role", "The last message must be a user's, or the result of a tool.")

    def _assistant(self, where: str, message: Json) -> Turn:
        calls = tuple(
            _tool_call(f"{where}.tool_calls.{place}", call)
            for place, call in enumerate(_list(f"{where}.tool_calls", message.get("tool_calls")))
        )
        content = message.get("content")
        text = _text(where, content) if content is not None or not calls else ""
        self._open = {call.id: f"{where}.tool_calls" for call in calls}
        return Turn("assistant", text, tool_calls=calls)

    def _result(self, where: str, message: Json) -> Turn:
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str) or self._open.pop(call_id, None) is None:
            _refuse(f"{where}.tool_call_id", "This must name a tool call of the assistant message before it.")
        return Turn("tool", _text(where, message.get("content")), tool_call_id=call_id)

    def _refuse_open(self) -> NoReturn:
        where = next(iter(self._open.values()))
        _refuse(where, "Each tool call must be followed by a message of role tool with its result.")


def _text(where: str, content: object) -> str:
    text, images = _content(where, content)
    if images:
        _refuse(f"{where}.content", "Only a user's message can have images.")
    return text


def _content(where: str, content: object) -> tuple[str, tuple[Image, ...]]:
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        _refuse(f"{where}.content", "This must be text, or a list of parts.")
    texts: list[str] = []
    images: list[Image] = []
    for place, part in enumerate(content):
        at = f"{where}.content.{place}"
        kind = part.get("type") if isinstance(part, dict) else None
        match kind:
            case "text" | "refusal":
                texts.append(_string(f"{at}.{kind}", part.get(kind)))
            case "image_url":
                images.append(_image(f"{at}.image_url", part.get("image_url")))
            case _:
                _refuse(f"{at}.type", "A part must be of type text or image_url.")
    return "\n".join(texts), tuple(images)


def _image(where: str, image: object) -> Image:
    url = image.get("url") if isinstance(image, dict) else image
    found = _DATA_URL.match(url) if isinstance(url, str) else None
    if not isinstance(url, str) or found is None:
        _refuse(
            f"{where}.url",
            "Images are taken as data URLs (data:image/png;base64,…); addresses are not fetched.",
        )
    media_type = found[1].lower()
    if media_type not in IMAGE_TYPES:
        _refuse(f"{where}.url", f"An image must be of {', '.join(sorted(IMAGE_TYPES))}.")
    try:
        data = base64.b64decode(url[found.end() :], validate=True)
    except binascii.Error:
        _refuse(f"{where}.url", "This is not valid base64.")
    if not data:
        _refuse(f"{where}.url", "The image is empty.")
    return Image(media_type, data)


def _tool_call(where: str, call: object) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        _refuse(where, "A tool call must be of type function, with an id and the function.")
    return ToolCall(
        id=_string(f"{where}.id", call.get("id")),
        name=_string(f"{where}.function.name", function.get("name")),
        arguments=_string(f"{where}.function.arguments", function.get("arguments")) or "{}",
    )


def _tool(place: int, tool: Json) -> Tool:
    where = f"tools.{place}"
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        _refuse(f"{where}.type", "A tool must be of type function.")
    name = _string(f"{where}.function.name", function.get("name"))
    if not _TOOL_NAME.fullmatch(name):
        _refuse(f"{where}.function.name", "A name has up to 64 letters, digits, _ and -.")
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        _refuse(f"{where}.function.parameters", "This must be a JSON schema.")
    return Tool(name, _string(f"{where}.function.description", function.get("description") or ""), parameters)


def _tool_choice(choice: str | Json | None, tools: tuple[Tool, ...]) -> str | None:
    if choice is None:
        return None
    if not tools:
        _refuse("tool_choice", "A choice of tools needs tools.")
    if choice in ("auto", "none", "required"):
        return str(choice)
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if name not in [tool.name for tool in tools]:
        _refuse("tool_choice", "This must be auto, none, required, or one of the tools as a function.")
    return str(name)


def _output_schema(wanted: Json | None) -> Mapping[str, Any] | None:
    kind = wanted.get("type") if wanted else "text"
    if kind == "text":
        return None
    if kind == "json_object":
        return _ANY_OBJECT
    if wanted is None or kind != "json_schema":
        _refuse("response_format.type", "This must be text, json_object or json_schema.")
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        _refuse("response_format.json_schema.schema", "This must be a JSON schema.")
    return schema


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MOST_STOPS:
        _refuse("stop", f"At most {MOST_STOPS} stops can be given.")
    return tuple(filter(None, stops))


def read_inputs(body: EmbeddingsBody) -> list[str]:
    """Return the texts that vectors are asked for. Raises InvalidInput."""
    if body.encoding_format not in (None, "float", "base64"):
        _refuse("encoding_format", "This must be float or base64.")
    inputs = [body.input] if isinstance(body.input, str) else body.input
    if not 0 < len(inputs) <= MOST_INPUTS:
        _refuse("input", f"Give 1 to {MOST_INPUTS:,} texts.")
    for place, text in enumerate(inputs):
        where = "input" if isinstance(body.input, str) else f"input.{place}"
        if not isinstance(text, str):
            _refuse(where, "Give texts. Tokens mean something to one model only, and are not taken.")
        if not text.strip():
            _refuse(where, "This text is empty.")
    return inputs


def _string(where: str, value: object) -> str:
    if not isinstance(value, str):
        _refuse(where, "This must be text.")
    return value


def _list(where: str, value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        _refuse(where, "This must be a list.")
    return value


def _refuse(where: str, message: str) -> NoReturn:
    raise InvalidInput(FieldError(where, message, "unsupported_value"))
