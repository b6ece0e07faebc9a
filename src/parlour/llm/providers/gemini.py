"""Google's Gemini API.

States the request; the call is :mod:`parlour.llm.wire.call`'s, and what the bytes of the answer mean is read
in :mod:`parlour.llm.wire.gemini_content`.

Two things are peculiar to it. Models from Gemini 3 on want to see the signature of the thought behind a tool
call again when the call's result is sent; it is remembered here by the call's id, for as long as a tool loop
needs it. And the newest models write on in no turn of their own, so that an answer is gone on with at the
user's request.
"""

import base64
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from parlour.llm.model import ModelEvent, Prompt, ToolCall, Turn
from parlour.llm.prompting import turns_to_go_on, with_schema_in_words
from parlour.llm.timeouts import Timeouts
from parlour.llm.wire.call import Line
from parlour.llm.wire.events import object_of
from parlour.llm.wire.failures import Complaint
from parlour.llm.wire.gemini_content import ContentStream
from parlour.llm.wire.text import well_formed
from parlour.vocabulary.errors import Garbled

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com"
DEFAULT_MODEL = "gemini-3.8-flash"

NO_SIGNATURE = "skip_thought_signature_validator"
"""What Google's documentation has stand in for the signature of a call that Gemini did not make."""

# Tool loops that may run at once, with some calls each; a signature has about 1 kB.
SIGNATURES_KEPT = 2_000

# With fewer a model that thinks first may use up all of them before its first word, as of a title.
ROOM_TO_THINK = 1_024
# How models of different ages are told to think as little as they can.
_HARDLY_THINKING: tuple[dict[str, Any], ...] = (
    {"thinkingLevel": "minimal"},
    {"thinkingLevel": "low"},
    {"thinkingBudget": 0},
)

_BEFORE_SIGNATURES = re.compile(r"gemini-(1|2)\b")
_OPTIONAL = ("temperature", "topP", "stopSequences", "toolConfig")
# Schemas are a caller's own words, and an error quotes them: what it says of a schema is not believed of the
# model. Only these say that it answers by no schema at all.
_SCHEMA = "responseJsonSchema"
_ABOUT_SCHEMA = re.compile(r"response.?(json.?)?schema|response.?mime.?type|json mode", re.IGNORECASE)
_NO_SCHEMAS = re.compile(
    r'unknown name "response_?(json_?)?(schema|mime_?type)"'
    r"|(json mode|response.?(json.?)?schema|response.?mime.?type) is not (enabled|supported)",
    re.IGNORECASE,
)
_ABOUT_TOOL = re.compile(r"function.?declarations", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"deprecated|unsupported|not supported|not support|not enabled|unknown name", re.IGNORECASE
)
_SIGNATURE = re.compile(r"thought.?signature", re.IGNORECASE)
_THINKING = re.compile(r"thinking|\bbudget\b", re.IGNORECASE)


class Gemini:
    """One Gemini model. Many answers may stream at once."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        model: str = DEFAULT_MODEL,
        api_key: str = "",
        base_url: str = DEFAULT_BASE_URL,
        timeouts: Timeouts | None = None,
        provider: str = "gemini",
    ) -> None:
        """Take the session to use; it stays its maker's to close. ``base_url`` may end in ``/v1beta``."""
        self._key = api_key.strip()
        self._line = Line(
            session=session,
            base_url=base_url.rstrip("/").removesuffix("/v1beta"),
            headers={"x-goog-api-key": self._key} if self._key else {},
            secret=self._key,
            timeouts=timeouts,
        )
        self.provider = provider
        self.name = model
        self._unsupported: set[str] = set()
        self._signatures: OrderedDict[str, str] = OrderedDict()
        self._hardly_thinking = list(_HARDLY_THINKING)

    async def models(self) -> list[str]:
        """Return the ids of the models on offer: the cheapest way to see whether address and key hold."""
        document = await self._line.get("/v1beta/models?pageSize=1000")
        try:
            return [
                str(each["name"]).removeprefix("models/")
                for each in document["models"]
                if "generateContent" in each.get("supportedGenerationMethods", ("generateContent",))
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise Garbled(cause=f"GET /models gave no list of models: {type(error).__name__}") from error

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` as :class:`parlour.llm.model.Model` says; closing this closes the socket."""
        return self._line.answer(self, prompt)

    # --- the wire format ---

    def path(self) -> str:
        """Return where prompts are sent; without ``alt=sse`` the answer would be one long JSON list."""
        resource = self.name if "/" in self.name else f"models/{self.name}"
        return f"/v1beta/{quote(resource)}:streamGenerateContent?alt=sse"

    def reader(self, prompt: Prompt) -> ContentStream:  # noqa: ARG002 - others need it
        """Return a reader for one answer."""
        return ContentStream(secret=self._key, remember=self._remember)

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the request, without what this model has refused by name."""
        if _SCHEMA in self._unsupported:
            prompt = with_schema_in_words(prompt)
        body: dict[str, Any] = {"contents": self._contents(turns_to_go_on(prompt))}
        if prompt.system:
            body["systemInstruction"] = {"parts": [{"text": well_formed(prompt.system)}]}
        if prompt.tools:
            declarations = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "parametersJsonSchema": dict(tool.parameters),
                }
                for tool in prompt.tools
            ]
            body["tools"] = [{"functionDeclarations": declarations}]
            if prompt.tool_choice and "toolConfig" not in self._unsupported:
                body["toolConfig"] = {"functionCallingConfig": _calling(prompt.tool_choice)}
        options = self._options(prompt)
        return body | ({"generationConfig": options} if options else {})

    def concede(
        self, status: int, complaint: Complaint, body: Mapping[str, Any], prompt: Prompt
    ) -> Prompt | None:
        """Remember what the model does not support; leave a schema out for this time only."""
        said, options = complaint.message, body.get("generationConfig", {})
        if status != 400 or _ABOUT_TOOL.search(said):  # what is wrong with a tool is its caller's
            return None
        if _SCHEMA in options and _ABOUT_SCHEMA.search(said):
            if _NO_SCHEMAS.search(said):
                self._unsupported.add(_SCHEMA)
            return with_schema_in_words(prompt)
        if _SIGNATURE.search(said) and self._signatures:
            self._signatures.clear()  # of another key, or too old: the stand-in is taken in their place
            return prompt
        if "thinkingConfig" in options and _THINKING.search(said):
            refused = options["thinkingConfig"]
            self._hardly_thinking = [each for each in self._hardly_thinking if each != refused]
            return prompt
        culprits = {name for name in _OPTIONAL if name in {*body, *options} and _names(name, said)}
        if not culprits or not _UNSUPPORTED.search(said):
            return None
        self._unsupported |= culprits
        return prompt

    def _options(self, prompt: Prompt) -> dict[str, Any]:
        options: dict[str, Any] = {
            "maxOutputTokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "topP": prompt.top_p,
            "stopSequences": list(prompt.stop) or None,
            _SCHEMA: prompt.output_schema and dict(prompt.output_schema),
        }
        options = {
            name: value
            for name, value in options.items()
            if value is not None and name not in self._unsupported
        }
        if _SCHEMA in options:
            options["responseMimeType"] = "application/json"
        if options.get("maxOutputTokens", ROOM_TO_THINK) < ROOM_TO_THINK and self._hardly_thinking:
            options["thinkingConfig"] = self._hardly_thinking[0]
        return options

    def _contents(self, turns: Iterable[Turn]) -> list[dict[str, Any]]:
        contents: list[dict[str, Any]] = []
        names: dict[str, str] = {}
        for turn in turns:
            names |= {call.id: call.name for call in turn.tool_calls}
            role = "model" if turn.role == "assistant" else "user"
            parts = [*self._parts(turn, names)]
            if not parts:
                continue  # an answer that was stopped before its first word; the API takes no empty content
            if contents and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            else:
                contents.append({"role": role, "parts": parts})
        return contents

    def _parts(self, turn: Turn, names: Mapping[str, str]) -> Iterable[dict[str, Any]]:
        text = well_formed(turn.content)
        if turn.role == "tool":
            call = turn.tool_call_id or ""
            result = {"id": call, "name": names.get(call, ""), "response": {"output": text}}
            yield {"functionResponse": result}
            return
        for image in turn.images:
            data = base64.b64encode(image.data).decode()
            yield {"inlineData": {"mimeType": image.media_type, "data": data}}
        if text:
            yield {"text": text}
        for at, each in enumerate(turn.tool_calls):
            yield self._call(each, first=at == 0)

    def _call(self, call: ToolCall, *, first: bool) -> dict[str, Any]:
        part: dict[str, Any] = {
            "functionCall": {"id": call.id, "name": call.name, "args": object_of(call.arguments)}
        }
        # Of calls that were made together, the first one carries the signature.
        signature = self._signatures.get(call.id)
        if signature is None and first and not _BEFORE_SIGNATURES.search(self.name):
            signature = NO_SIGNATURE
        return part if signature is None else {**part, "thoughtSignature": signature}

    def _remember(self, call: str, signature: str) -> None:
        self._signatures[call] = signature
        if len(self._signatures) > SIGNATURES_KEPT:
            self._signatures.popitem(last=False)


def _names(field: str, message: str) -> bool:
    """Tell whether a message is about a field, which Google writes in camel case or with underscores."""
    snake = re.sub(r"([A-Z])", r"_\1", field).lower()
    return re.search(rf"\b({field}|{snake})\b", message) is not None


def _calling(wish: str) -> dict[str, Any]:
    match wish:
        case "auto" | "none":
            return {"mode": wish.upper()}
        case "required":
            return {"mode": "ANY"}
        case name:
            return {"mode": "ANY", "allowedFunctionNames": [name]}
