"""Anthropic's Messages API, which Claude models speak.

States the request; the call is :mod:`parlour.llm.wire.call`'s, and what the bytes of the answer mean is read
in :mod:`parlour.llm.wire.anthropic_messages`.

What models of this family accept differs by their age: from Claude 4.6 on none writes on in a turn of its
own, later ones take no sampling parameters, and those of late 2026 cannot be forced to call a tool. An
answer is therefore always gone on with at the user's request, and a parameter that a model refuses by name
is left out from then on.
"""

import base64
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

import aiohttp

from parlour.llm.model import ModelEvent, Prompt, Turn
from parlour.llm.prompting import turns_to_go_on, with_schema_in_words
from parlour.llm.timeouts import Timeouts
from parlour.llm.wire.anthropic_messages import MessageStream
from parlour.llm.wire.call import Line
from parlour.llm.wire.events import object_of
from parlour.llm.wire.failures import Complaint
from parlour.llm.wire.text import well_formed
from parlour.vocabulary.errors import Garbled

DEFAULT_BASE_URL = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-sonnet-5-5"
API_VERSION = "2023-06-01"

# The API wants a limit; thinking counts.
MAX_TOKENS = 8_192

# With fewer a model that thinks first may use up all of them before its first word, as of a title.
ROOM_TO_THINK = 1_024
# How models of different ages are told not to think; some cannot be.
_NOT_THINKING = ("disabled", "between_tools")

_CACHED = {"type": "ephemeral"}
_OPTIONAL = ("temperature", "top_p", "tool_choice")
# Schemas are a caller's own words, and an error quotes them: what it says of a schema is not believed of the
# model. Only these say that it answers by no schema at all.
_SCHEMA = "output_config"
_NO_SCHEMAS = re.compile(
    r"^output_config(\.format)?: (extra inputs|[^:]{0,20}not supported)|not support (structured|output|json)",
    re.IGNORECASE,
)
_UNSUPPORTED = re.compile(
    r"deprecated|unsupported|not supported|not support|not permitted|not allowed|cannot both|forces tool use",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(r"max_tokens: \d+ > (\d+)")
_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")


class Anthropic:
    """One Claude model. Many answers may stream at once."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        model: str = DEFAULT_MODEL,
        api_key: str = "",
        base_url: str = DEFAULT_BASE_URL,
        timeouts: Timeouts | None = None,
        provider: str = "anthropic",
    ) -> None:
        """Take the session to use; it stays its maker's to close. ``base_url`` may end in ``/v1`` or not."""
        self._key = api_key.strip()
        headers = {"anthropic-version": API_VERSION} | ({"x-api-key": self._key} if self._key else {})
        self._line = Line(
            session=session,
            base_url=base_url.rstrip("/").removesuffix("/v1"),
            headers=headers,
            secret=self._key,
            timeouts=timeouts,
        )
        self.provider = provider
        self.name = model
        self._unsupported: set[str] = set()
        self._most_tokens: int | None = None
        self._not_thinking = list(_NOT_THINKING)

    async def models(self) -> list[str]:
        """Return the ids of the models on offer: the cheapest way to see whether address and key hold."""
        document = await self._line.get("/v1/models?limit=1000")
        try:
            return [str(each["id"]) for each in document["data"]]
        except (KeyError, TypeError) as error:
            raise Garbled(cause=f"GET /v1/models gave no list of models: {type(error).__name__}") from error

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` as :class:`parlour.llm.model.Model` says; closing this closes the socket."""
        return self._line.answer(self, prompt)

    # --- the wire format ---

    def path(self) -> str:
        """Return where prompts are sent."""
        return "/v1/messages"

    def reader(self, prompt: Prompt) -> MessageStream:  # noqa: ARG002 - others need it
        """Return a reader for one answer."""
        return MessageStream(secret=self._key)

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the request, without what this model has refused by name."""
        if _SCHEMA in self._unsupported:
            prompt = with_schema_in_words(prompt)
        body: dict[str, Any] = {
            "model": self.name,
            "max_tokens": min(prompt.max_tokens or MAX_TOKENS, self._most_tokens or MAX_TOKENS * 1000),
            "stream": True,
            "messages": _messages(prompt),
        }
        if prompt.system:
            # A mark here keeps what all conversations have in common, the tools included, in the cache.
            text = well_formed(prompt.system)
            body["system"] = [{"type": "text", "text": text, "cache_control": _CACHED}]
        if prompt.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
                for tool in prompt.tools
            ]
            body["tool_choice"] = _tool_choice(prompt.tool_choice)
        if prompt.stop:
            body["stop_sequences"] = list(prompt.stop)
        if prompt.temperature is not None:
            body["temperature"] = min(prompt.temperature, 1.0)  # the scale ends here, at OpenAI at 2
        elif prompt.top_p is not None:
            body["top_p"] = prompt.top_p  # newer models take one of the two at most
        if body["max_tokens"] < ROOM_TO_THINK and self._not_thinking:
            body["thinking"] = {"type": self._not_thinking[0]}
        if prompt.output_schema is not None:
            body[_SCHEMA] = {"format": {"type": "json_schema", "schema": _closed(prompt.output_schema)}}
        return {name: value for name, value in body.items() if name not in self._unsupported}

    def concede(
        self, status: int, complaint: Complaint, body: Mapping[str, Any], prompt: Prompt
    ) -> Prompt | None:
        """Remember what the model does not support; leave a schema out for this time only."""
        said = complaint.message
        if status != 400 or said.startswith("tools."):  # what is wrong with a tool is its caller's
            return None
        if _SCHEMA in body and _SCHEMA in said:
            if _NO_SCHEMAS.search(said):
                self._unsupported.add(_SCHEMA)
            return with_schema_in_words(prompt)
        if most := _TOO_MANY.search(said):
            self._most_tokens = int(most[1])
            return prompt if self._most_tokens < body["max_tokens"] else None
        if "thinking" in body and "thinking" in said:
            self._not_thinking = [each for each in self._not_thinking if each != body["thinking"]["type"]]
            return prompt
        culprits = {name for name in _OPTIONAL if name in body and name in said}
        if not culprits or not _UNSUPPORTED.search(said):
            return None
        self._unsupported |= culprits
        return prompt


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    """Return what was said, with a mark for the cache behind what the next turn will repeat (X-7)."""
    turns = turns_to_go_on(prompt)
    users = [at for at, turn in enumerate(prompt.turns) if turn.role == "user"]
    # Passages stand with the newest message for this one turn only.
    stable = users[-1] if prompt.passages and users else len(prompt.turns)
    messages: list[dict[str, Any]] = []
    kept: dict[str, Any] | None = None
    for at, turn in enumerate(turns):
        role, blocks = "assistant" if turn.role == "assistant" else "user", list(_blocks(turn))
        if not blocks:
            continue  # an answer that was stopped before its first word; the API takes no empty message
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
        if at < stable:
            kept = blocks[-1]
    if kept is not None:
        kept["cache_control"] = _CACHED
    return messages


def _blocks(turn: Turn) -> Iterable[dict[str, Any]]:
    text = well_formed(turn.content)
    if turn.role == "tool":
        yield {"type": "tool_result", "tool_use_id": _identity(turn.tool_call_id or ""), "content": text}
        return
    for image in turn.images:
        data = base64.b64encode(image.data).decode()
        source = {"type": "base64", "media_type": image.media_type, "data": data}
        yield {"type": "image", "source": source}
    if text.strip():  # the API refuses blank text
        yield {"type": "text", "text": text}
    for call in turn.tool_calls:
        arguments = object_of(call.arguments)
        yield {"type": "tool_use", "id": _identity(call.id), "name": call.name, "input": arguments}


def _identity(call: str) -> str:
    """Return a call's id in the letters that Anthropic takes, for calls that other providers named."""
    return _NOT_IN_AN_ID.sub("_", call) or "_"


def _tool_choice(wish: str | None) -> dict[str, str]:
    match wish:
        case None | "auto":
            return {"type": "auto"}
        case "none":
            return {"type": "none"}
        case "required":
            return {"type": "any"}
        case name:
            return {"type": "tool", "name": name}


def _closed(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return a schema whose objects take no other properties: Anthropic wants that to be said."""
    if isinstance(schema, Mapping):
        closed = {name: _closed(part) for name, part in schema.items()}
        return {**closed, "additionalProperties": False} if closed.get("type") == "object" else closed
    return [_closed(part) for part in schema] if isinstance(schema, list | tuple) else schema
