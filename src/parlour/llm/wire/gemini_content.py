"""Gemini's streamed content, read: bytes in; text, tool calls, finish reason and usage out.

Each event is a whole response document with the next parts of the answer. Thoughts are skipped and count as
life. The stream has no formal end of its own: the finish reason is the end, and a count of tokens may come
with it or after it.
"""

import secrets
from collections.abc import Callable
from typing import Any

import orjson

from parlour.llm.model import ToolCall
from parlour.llm.wire.events import LONGEST_ARGUMENTS, EventAnswer, arguments_of, counted
from parlour.llm.wire.failures import LONGEST_CAUSE
from parlour.llm.wire.sse import ServerEvent
from parlour.vocabulary.errors import Garbled
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

_FILTERED = {
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
}
_CUT = {"MAX_TOKENS", "CONTINUATION"}
# The model lost its way; what it said so far is no answer, and asking again may well give one.
_LOST = {
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
}
_NOT_YET = {"", "FINISH_REASON_UNSPECIFIED"}

_KNOWN = ("candidates", "promptFeedback", "usageMetadata", "error", "responseId", "modelVersion")


def usage_of(counts: object) -> Usage | None:
    """Read a usage object; None where it is missing, negative, absurd or all zero, so that we estimate.

    Gemini counts thoughts beside the answer and the results of its own tools beside the prompt; its cached
    tokens are a part of the prompt.
    """
    if not isinstance(counts, dict):
        return None
    asked, tools, said, thought, cached = (
        counted(counts.get(name))
        for name in (
            "promptTokenCount",
            "toolUsePromptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "cachedContentTokenCount",
        )
    )
    if asked is None or tools is None or said is None or thought is None:
        return None
    if not (asked or said or thought):
        return None
    cached = cached if cached is not None and cached <= asked else 0
    return Usage(asked + tools, said + thought, cached_tokens=cached)


def finish_of(word: object) -> FinishReason | None:
    """Map a finish reason; an unknown word ends the answer too, None and the unspecified one do not."""
    if not isinstance(word, str) or word in _NOT_YET:
        return None
    if word in _FILTERED:
        return FinishReason.FILTERED
    return FinishReason.LENGTH if word in _CUT else FinishReason.STOP


class ContentStream(EventAnswer):
    """The state of one answer while it comes in."""

    def __init__(self, *, secret: str = "", remember: Callable[[str, str], None] | None = None) -> None:
        """Begin an answer; ``secret`` must not appear in an error's cause.

        ``remember`` is told a tool call's id and the signature of the thought behind it.
        """
        super().__init__(secret=secret)
        self._remember = remember
        self._called = False
        self._written = 0

    def _piece(self, event: ServerEvent) -> str:
        try:
            candidate = orjson.loads(event.data)["candidates"][0]
            (part,) = candidate["content"]["parts"]
            piece = part["text"]
            simple = (
                len(part) == 1
                and not candidate.get("finishReason")
                and not candidate.get("index")
                and self.finish is None
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            simple = False
        if simple and type(piece) is str:
            self.readable += 1
            return piece
        return self._slowly(event)

    def _known(self, document: dict[str, Any]) -> bool:
        return any(name in document for name in _KNOWN)

    def _whole(self, document: dict[str, Any]) -> str:
        return self._take(document)

    def _take(self, document: dict[str, Any]) -> str:
        if document.get("error"):
            self._complain(document)
            return ""
        usage = usage_of(document.get("usageMetadata"))
        if usage is not None:
            self.usage = usage
        self._see_feedback(document.get("promptFeedback"))
        candidates = document.get("candidates")
        candidate = candidates[0] if isinstance(candidates, list) and candidates else None
        # We ask for one candidate. Words after the finish are a proxy's repetition.
        if not isinstance(candidate, dict) or candidate.get("index") or self.finish is not None:
            return ""
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        text = "".join(map(self._part, parts if isinstance(parts, list) else ()))
        self._finish(candidate)
        return text

    def _part(self, part: object) -> str:
        if not isinstance(part, dict):
            return ""
        if part.get("thought") is True:
            self.lively = True
            return ""
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._call(call, part.get("thoughtSignature"))
        text = part.get("text")
        return text if isinstance(text, str) else ""

    def _call(self, call: dict[str, Any], signature: object) -> None:
        self.lively = self._called = True
        arguments = arguments_of(call.get("args"))
        self._written += len(arguments)
        if self._written > LONGEST_ARGUMENTS:
            self._fail(Garbled(cause="the provider sent tool calls over the size limit"))
            return
        identity, name = call.get("id"), call.get("name")
        if not (isinstance(identity, str) and identity):
            identity = f"call_{secrets.token_hex(12)}"  # Gemini may leave it out; ours are told apart by it
        if isinstance(signature, str) and signature and self._remember is not None:
            self._remember(identity, signature)
        name = name if isinstance(name, str) else ""
        self.calls.append(ToolCall(id=identity, name=name, arguments=arguments))

    def _see_feedback(self, feedback: object) -> None:
        """A prompt that is blocked gets no candidate at all."""
        reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
        if isinstance(reason, str) and reason not in ("", "BLOCKED_REASON_UNSPECIFIED"):
            self.refused = True
            self.finish = FinishReason.FILTERED

    def _finish(self, candidate: dict[str, Any]) -> None:
        word = candidate.get("finishReason")
        if isinstance(word, str) and word in _LOST:
            said = candidate.get("finishMessage")
            cause = f"finish reason {word}: {said if isinstance(said, str) else ''}"
            self._fail(Garbled(cause=cause[:LONGEST_CAUSE]))
            return
        self.finish = finish_of(word)
        self.refused = self.finish is FinishReason.FILTERED
        if self._called and self.finish is FinishReason.STOP:
            self.finish = FinishReason.TOOL_CALLS  # Gemini knows no other word for it than a regular end
