"""OpenAI and every server that speaks its chat-completions API.

States the request; the call is :mod:`parlour.llm.wire.call`'s, and what the bytes of the answer mean is read
in :mod:`parlour.llm.wire.chat_completions`.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from parlour.llm.model import ModelEvent, Prompt, Tool
from parlour.llm.prompting import chat_messages, with_schema_in_words
from parlour.llm.timeouts import Timeouts
from parlour.llm.wire.call import Line
from parlour.llm.wire.chat_completions import ChatStream
from parlour.llm.wire.failures import Complaint
from parlour.vocabulary.errors import Garbled

DEFAULT_BASE_URL = "https://api.openai.com/v1"
# As of genai-prices 0.2.3 (2026-11): the newest models that OpenAI describes as "fast, efficient … clear,
# natural writing" (1 and 5 USD per million tokens) and "efficient … high-volume" (0.10 and 0.50 USD).
DEFAULT_MODEL = "gpt-6.1-terra"
DEFAULT_SMALL_MODEL = "gpt-6-luna"

# Parameters that some servers refuse while others demand them. One refused by name is left out from then on.
_LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
_OPTIONAL = (
    *("temperature", "top_p", "stop", "stream_options", "tool_choice"),
    *_LIMIT_NAMES,
)
_UNSUPPORTED = re.compile(
    r"unsupported|not support|unknown|unrecognized|not permitted|extra (fields|inputs)", re.IGNORECASE
)
# Schemas are a caller's own words, and an error quotes them: what it says of a schema is not believed of the
# server. Only these say that there is no answering by schema at all.
_SCHEMA = "response_format"
_ABOUT_SCHEMA = re.compile(r"response_format|schema|grammar", re.IGNORECASE)
_ABOUT_ONE_SCHEMA = re.compile(r"invalid (json )?schema|in context", re.IGNORECASE)
_NO_SCHEMAS = re.compile(
    r"(unsupported|unknown|unrecognized) (request )?(parameter|argument|field)[^.]{0,12}response_format"
    r"|response_format\W{1,3}(of type \W?json_schema\W{1,3})?is not supported"
    r"|not support (response.?format|json.?schema|structured)",
    re.IGNORECASE,
)
_ABOUT_TOOL = re.compile(r"schema for function", re.IGNORECASE)
# Newer models of OpenAI's call tools over this API only when told not to think.
_NO_THINKING = "reasoning_effort"


class OpenAICompatible:
    """One model behind an OpenAI-compatible API. Many answers may stream at once."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        model: str = DEFAULT_MODEL,
        api_key: str = "",
        base_url: str = DEFAULT_BASE_URL,
        timeouts: Timeouts | None = None,
        provider: str | None = None,
    ) -> None:
        """Take the session to use; it stays its maker's to close.

        ``provider`` is the name in logs and the price table: ``openai`` for OpenAI's own address, else
        ``openai_compatible``. A server that wants no key gets an empty one.
        """
        base_url = base_url.rstrip("/")
        self._key = api_key.strip()
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._line = Line(
            session=session, base_url=base_url, headers=headers, secret=self._key, timeouts=timeouts
        )
        own = urlsplit(base_url).hostname == urlsplit(DEFAULT_BASE_URL).hostname
        self.provider = provider or ("openai" if own else "openai_compatible")
        self.name = model
        # OpenAI's newer models refuse the old name of the limit; older servers do not know the new one.
        self._limit_names = tuple(reversed(_LIMIT_NAMES)) if own else _LIMIT_NAMES
        self._unsupported: set[str] = set()

    async def models(self) -> list[str]:
        """Return the ids of the models on offer: the cheapest way to see whether address and key hold."""
        document = await self._line.get("/models")
        try:
            return [str(each["id"]) for each in document["data"]]
        except (KeyError, TypeError) as error:
            raise Garbled(cause=f"GET /models gave no list of models: {type(error).__name__}") from error

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` as :class:`parlour.llm.model.Model` says; closing this closes the socket."""
        return self._line.answer(self, prompt)

    # --- the wire format ---

    def path(self) -> str:
        """Return where prompts are sent."""
        return "/chat/completions"

    def reader(self, prompt: Prompt) -> ChatStream:  # noqa: ARG002 - others need it
        """Return a reader for one answer."""
        return ChatStream(secret=self._key)

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the request, without what this server has refused by name."""
        if _SCHEMA in self._unsupported:
            prompt = with_schema_in_words(prompt)
        body: dict[str, Any] = {
            "model": self.name,
            "messages": chat_messages(prompt),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        if prompt.top_p is not None:
            body["top_p"] = prompt.top_p
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        if prompt.output_schema is not None:
            body[_SCHEMA] = _response_format(prompt.output_schema)
        if prompt.tools:
            body["tools"] = [_tool(tool) for tool in prompt.tools]
            if prompt.tool_choice is not None:
                body["tool_choice"] = _tool_choice(prompt.tool_choice)
            if _NO_THINKING in self._unsupported:
                body[_NO_THINKING] = "none"
        limit_name = next((name for name in self._limit_names if name not in self._unsupported), None)
        if prompt.max_tokens is not None and limit_name is not None:
            body[limit_name] = prompt.max_tokens
        left_out = self._unsupported - {_NO_THINKING}
        return {name: value for name, value in body.items() if name not in left_out}

    def concede(
        self, status: int, complaint: Complaint, body: Mapping[str, Any], prompt: Prompt
    ) -> Prompt | None:
        """Remember a parameter that the server does not support; leave a schema out for this time only."""
        words = " ".join([*complaint.words, complaint.message])
        named = (complaint.param or "").partition(".")[0]
        if status not in (400, 422) or _ABOUT_TOOL.search(complaint.message):
            return None
        if _SCHEMA in body and (named == _SCHEMA or _ABOUT_SCHEMA.search(complaint.message)):
            if _is_without_schemas(complaint):
                self._unsupported.add(_SCHEMA)
            return with_schema_in_words(prompt)
        if not _UNSUPPORTED.search(words):
            return None
        if named == _NO_THINKING and "tools" in body and _NO_THINKING not in body:
            self._unsupported.add(_NO_THINKING)
            return prompt
        quoted = next((name for name in _OPTIONAL if f"'{name}'" in complaint.message), None)
        culprit = named if named in _OPTIONAL else quoted
        if culprit is None or culprit not in body:
            return None
        self._unsupported.add(culprit)
        return prompt


def _is_without_schemas(complaint: Complaint) -> bool:
    if _ABOUT_ONE_SCHEMA.search(complaint.message):
        return False
    named = complaint.speaks_of("unsupported_parameter", "unknown_parameter")
    return named or _NO_SCHEMAS.search(complaint.message) is not None


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    }


def _tool_choice(choice: str) -> object:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    strict = _is_strict(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": dict(schema), **({"strict": True} if strict else {})},
    }


def _is_strict(schema: object) -> bool:
    """Tell whether OpenAI can promise to follow the schema: each object closed, and all of it required."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if "properties" in schema or schema.get("type") == "object":
        names = set(schema.get("properties", ()))
        if schema.get("additionalProperties") is not False or names != set(schema.get("required", ())):
            return False
    return all(map(_is_strict, schema.values()))
