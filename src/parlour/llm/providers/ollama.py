"""Models on a machine of one's own, by Ollama's native API.

States the request; the call is :mod:`parlour.llm.wire.call`'s, and what the bytes of the answer mean is read
in :mod:`parlour.llm.wire.ollama_chat`.

Ollama gives a model a small window unless told otherwise, and drops the beginning of a prompt that does not
fit without a word. So the window is made as large as the prompt and its answer need, and Ollama is asked to
refuse what does not fit. A window of another size has the model loaded anew, so it only grows, by doubling.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from parlour.llm.model import ModelEvent, Prompt, Tool, Turn
from parlour.llm.prompting import turns_to_write_on
from parlour.llm.timeouts import Timeouts
from parlour.llm.tokens import estimate_tokens
from parlour.llm.wire.call import Line
from parlour.llm.wire.events import object_of
from parlour.llm.wire.failures import Complaint
from parlour.llm.wire.ollama_chat import OllamaStream
from parlour.llm.wire.text import well_formed
from parlour.vocabulary.errors import Garbled, ProviderError

DEFAULT_BASE_URL = "http://127.0.0.1:11434"

# The window that Ollama gives every model by itself.
SMALLEST_WINDOW = 4_096
# Room for an answer whose length nobody limits, thinking included.
USUAL_ANSWER = 2_048
# What a picture takes at most in the models of today.
IMAGE_TOKENS = 2_048
# Names and marks of the model's own template, for each message.
MESSAGE_TOKENS = 16

# How long to look for an Ollama that may not be there.
LOOKING = 0.5
# Families and words in the names of models that make vectors and cannot answer.
_NO_TALKERS = ("bert", "embed", "minilm", "bge-")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What Ollama knows about a model."""

    context_tokens: int | None
    tools: bool
    images: bool


class Ollama:
    """One model that Ollama runs. Many answers may stream at once."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        model: str,
        api_key: str = "",
        base_url: str = DEFAULT_BASE_URL,
        timeouts: Timeouts | None = None,
        provider: str = "ollama",
        keep_alive: str | None = None,
    ) -> None:
        """Take the session to use; it stays its maker's to close. ``base_url`` may end in ``/v1`` or not.

        ``keep_alive`` is how long the model stays in memory after an answer, such as ``30m``; None leaves it
        to Ollama (five minutes, unless its operator has said otherwise).
        """
        self._key = api_key.strip()
        self._line = Line(
            session=session,
            base_url=_root(base_url),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            secret=self._key,
            timeouts=timeouts,
        )
        self.provider = provider
        self.name = model
        self._keep_alive = keep_alive
        self._window = SMALLEST_WINDOW

    async def models(self) -> list[str]:
        """Return the names of the models that Ollama has."""
        return _names(await self._line.get("/api/tags"))

    async def abilities(self) -> Abilities:
        """Return what Ollama knows about this model: how much it reads, and what it can do."""
        document = await self._line.post("/api/show", {"model": self.name})
        if not isinstance(document, dict):
            raise Garbled(cause="POST /api/show gave no object")
        able = document.get("capabilities") or ()
        facts = document.get("model_info")
        lengths = (
            value
            for name, value in (facts.items() if isinstance(facts, dict) else ())
            if name.endswith(".context_length") and type(value) is int
        )
        return Abilities(next(lengths, None), tools="tools" in able, images="vision" in able)

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` as :class:`parlour.llm.model.Model` says; closing this closes the socket."""
        return self._line.answer(self, prompt)

    # --- the wire format ---

    def path(self) -> str:
        """Return where prompts are sent."""
        return "/api/chat"

    def reader(self, prompt: Prompt) -> OllamaStream:  # noqa: ARG002 - others need it
        """Return a reader for one answer."""
        return OllamaStream(secret=self._key)

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the request."""
        messages = _messages(prompt)
        tools = [_tool(tool) for tool in _offered(prompt)]
        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages,
            "stream": True,
            # Rather an error than an answer to half of the question.
            "truncate": False,
            "shift": False,
        }
        if tools:
            body["tools"] = tools
        if prompt.output_schema is not None:
            body["format"] = dict(prompt.output_schema)
        if self._keep_alive is not None:
            body["keep_alive"] = self._keep_alive
        if options := self._options(prompt, _size(messages, tools)):
            body["options"] = options
        return body

    def concede(self, status: int, complaint: Complaint, body: Mapping[str, Any], prompt: Prompt) -> None:
        """Concede nothing: Ollama ignores what it does not know."""

    def _options(self, prompt: Prompt, size: int) -> dict[str, Any]:
        needed = size + (prompt.max_tokens or USUAL_ANSWER)
        while self._window < needed:
            self._window *= 2
        options = {
            "num_predict": prompt.max_tokens,
            "temperature": prompt.temperature,
            "top_p": prompt.top_p,
            "stop": list(prompt.stop) or None,
            "num_ctx": self._window if self._window > SMALLEST_WINDOW else None,
        }
        return {name: value for name, value in options.items() if value is not None}


async def find(session: aiohttp.ClientSession, base_url: str = DEFAULT_BASE_URL) -> list[str]:
    """Return the models of an Ollama that may be there, those that can talk; none if it is not. Quick."""
    limits = replace(Timeouts(), connect=LOOKING, first_token=LOOKING)
    line = Line(session=session, base_url=_root(base_url), timeouts=limits)
    try:
        async with asyncio.timeout(LOOKING):
            return _names(await line.get("/api/tags"), talkers=True)
    except (ProviderError, TimeoutError):
        return []


def _root(base_url: str) -> str:
    return base_url.rstrip("/").removesuffix("/v1")


def _names(document: Any, *, talkers: bool = False) -> list[str]:  # noqa: ANN401 - whatever came
    try:
        return [str(each["name"]) for each in document["models"] if not talkers or _talks(each)]
    except (KeyError, TypeError, AttributeError) as error:
        raise Garbled(cause=f"GET /api/tags gave no list of models: {type(error).__name__}") from error


def _talks(model: dict[str, Any]) -> bool:
    able = model.get("capabilities")
    if isinstance(able, list) and able:
        return "completion" in able
    family = (model.get("details") or {}).get("family") or ""
    return not any(word in f"{family} {model['name']}".lower() for word in _NO_TALKERS)


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    named = {call.id: call.name for turn in prompt.turns for call in turn.tool_calls}
    messages = [_message(turn, named) for turn in turns_to_write_on(prompt)]
    system = [{"role": "system", "content": well_formed(prompt.system)}] if prompt.system else []
    return [*system, *messages]


def _message(turn: Turn, named: Mapping[str, str]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": well_formed(turn.content)}
    if turn.images:
        message["images"] = [base64.b64encode(image.data).decode() for image in turn.images]
    if turn.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": object_of(call.arguments)}}
            for call in turn.tool_calls
        ]
    if turn.tool_call_id is not None:
        message["tool_call_id"] = turn.tool_call_id
        if turn.tool_call_id in named:
            message["tool_name"] = named[turn.tool_call_id]
    return message


def _offered(prompt: Prompt) -> tuple[Tool, ...]:
    """Return the tools to offer: Ollama knows no other way to say which may be called."""
    match prompt.tool_choice:
        case None | "auto" | "required":
            return prompt.tools
        case "none":
            return ()
        case name:
            return tuple(tool for tool in prompt.tools if tool.name == name)


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    }


def _size(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> int:
    """Return how many tokens a prompt takes, rather too many than one too few."""
    size = MESSAGE_TOKENS * len(messages) + (estimate_tokens(str(tools)) if tools else 0)
    for message in messages:
        size += estimate_tokens(message["content"]) + IMAGE_TOKENS * len(message.get("images", ()))
        if "tool_calls" in message:
            size += estimate_tokens(str(message["tool_calls"]))
    return size
