"""OpenAI's chat-completions stream, read: bytes in, text, finish reason and usage out.

What every OpenAI-compatible server sends, and what they send wrongly, is dealt with here and nowhere else.
The common chunk takes the short way: one JSON decode and two look-ups.
"""

import json
from typing import Any, TypeGuard

import orjson

from parlour.llm.model import ToolCall
from parlour.llm.wire.failures import failure, read_complaint
from parlour.llm.wire.sse import EventReader, EventTooLarge, ServerEvent
from parlour.llm.wire.text import TextMender
from parlour.vocabulary.errors import Garbled, ProviderError
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage

# No model reads or writes a hundred million tokens in one call: such a count is a mistake.
ABSURD_TOKENS = 100_000_000

_FINISH = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "content_filter": FinishReason.FILTERED,
    "safety": FinishReason.FILTERED,
    "refusal": FinishReason.FILTERED,
}


def usage_of(document: object) -> Usage | None:
    """Read a usage object; None where it is missing, negative, absurd or all zero, so that we estimate.

    ``cached_tokens`` are part of ``input_tokens``, as OpenAI counts them.
    """
    if not isinstance(document, dict):
        return None
    asked, said = document.get("prompt_tokens"), document.get("completion_tokens")
    if not _plausible(asked) or not _plausible(said) or not (asked or said):
        return None
    details = document.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    if not _plausible(cached) or cached > asked:
        cached = 0
    return Usage(input_tokens=asked, output_tokens=said, cached_tokens=cached)


def _plausible(count: object) -> TypeGuard[int]:
    return type(count) is int and 0 <= count <= ABSURD_TOKENS


def finish_of(word: object) -> FinishReason | None:
    """Map a finish reason; an unknown word ends the answer too, None and the empty word do not."""
    return _FINISH.get(word, FinishReason.STOP) if isinstance(word, str) and word else None


class ChatStream:
    """The state of one answer while it comes in."""

    def __init__(self, *, secret: str = "") -> None:
        """Begin an answer; ``secret`` must not appear in an error's cause."""
        self._secret = secret
        self._events = EventReader()
        self._mender = TextMender()
        self._done = False
        self.over = False
        """Nothing more will be said: ``[DONE]`` or an error has come, or the stream was closed."""
        self.failure: ProviderError | None = None
        """What the provider gave as its reason to stop in the middle; what came before it was said."""
        self.finish: FinishReason | None = None
        self.usage: Usage | None = None
        self.refused = False
        """The provider sent a refusal in place of an answer."""
        self.lively = False
        """The last :meth:`feed` brought a word, a thought or a part of a tool call, not only keep-alives."""
        self.calls: list[ToolCall] = []
        """Tool calls that are whole and were not given out yet."""
        self.readable = 0
        """How many chunks could be read."""
        self._unreadable = 0

    def feed(self, data: bytes) -> str:
        """Return the text that ``data`` completes, all pieces in one.

        An event that cannot be read is counted and skipped; one beyond any size ends the answer, because
        an answer with a hole must not look whole.
        """
        self.lively = False
        try:
            events = self._events.feed(data)
        except EventTooLarge:
            self._fail(Garbled(cause="the provider sent an event over the size limit"))
            return ""
        return self._absorb(events)

    def feed_whole(self, body: bytes) -> str:
        """Take an answer that came as one JSON document, although a stream was asked for."""
        text = self._absorb([ServerEvent(b"", body)])
        self._done = self.readable > 0
        return text + self._end()

    def close(self) -> str:
        """Return what the end of the stream leaves: an event without its blank line, half a character."""
        return self._absorb(self._events.rest()) + self._end()

    def _end(self) -> str:
        self.over = True
        return self._mender.rest()

    def _fail(self, failure: ProviderError) -> None:
        self.failure = self.failure or failure
        self.over = True

    @property
    def complete(self) -> bool:
        """The provider said in one way or another that this is all."""
        return self._done or self.finish is not None

    @property
    def gibberish(self) -> bool:
        """Something came, and nothing of it was an answer: a web page, or another protocol."""
        return not self.readable and bool(self._unreadable or self._events.strange)

    def _absorb(self, events: list[ServerEvent]) -> str:
        pieces: list[str] = []
        for event in events:
            try:
                choice = orjson.loads(event.data)["choices"][0]
                piece = choice["delta"]["content"]
                simple = choice.get("finish_reason") is None and not (event.name or choice.get("index"))
            except (ValueError, KeyError, IndexError, TypeError, AttributeError):
                simple = False
            if simple and piece and type(piece) is str and self.finish is None:
                self.readable += 1
                pieces.append(piece)
            else:
                pieces += self._absorb_slowly(event)
            if self.failure is not None:
                break
        if pieces:
            self.lively = True
        elif not self.over:
            return ""
        text = self._mender.mend("".join(pieces))
        return text + self._mender.rest() if self.over else text

    def _absorb_slowly(self, event: ServerEvent) -> list[str]:
        """Read an event that is not simply the next piece of text."""
        found = []
        for document in self._documents(event.data):
            if document == "[DONE]":
                self._done = self.over = True
            elif event.name == b"error" and isinstance(document, dict | str):
                self._fail(failure(200, read_complaint(document), secret=self._secret))
            elif isinstance(document, dict):
                self.readable += 1
                found += self._take(document)
            else:
                self._unreadable += 1
        return found

    def _documents(self, data: bytes) -> list[object]:
        """Decode an event's data; where a blank line was lost, it is one document a line."""
        whole = _decode(data)
        if whole is None and b"\n" in data:
            return [_decode(line) for line in data.split(b"\n")]
        return [whole] if data else []

    def _take(self, chunk: dict[str, Any]) -> list[str]:
        """Take what a chunk says about the answer; return its text, if it has any."""
        if chunk.get("error"):
            self._fail(failure(200, read_complaint(chunk), secret=self._secret))
            return []
        usage = usage_of(chunk.get("usage"))
        if usage is not None:
            self.usage = usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        # We ask for one choice. Words after the finish are a proxy's repetition.
        if not isinstance(choice, dict) or choice.get("index") or self.finish is not None:
            return []
        text = self._said(choice)
        self.finish = finish_of(choice.get("finish_reason"))
        return [text] if text else []

    def _said(self, choice: dict[str, Any]) -> str:
        # A server that does not stream sends the whole message where the delta would be.
        delta = choice.get("delta") or choice.get("message")
        if not isinstance(delta, dict):
            return ""
        self.refused = self.refused or bool(delta.get("refusal"))
        self.lively = self.lively or bool(delta.get("reasoning_content") or delta.get("reasoning"))
        return _words(delta.get("content"))


def _words(content: object) -> str:
    """Return the text of a content, which some servers send as a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _decode(data: bytes) -> object:
    """Decode one document; None where there is none to be had.

    The strict decoder refuses invalid UTF-8 and lone surrogates. Neither is worth losing a chunk for: as the
    SSE specification says, the first decodes to U+FFFD; the second is mended with the text around it.
    """
    if data.strip() == b"[DONE]":
        return "[DONE]"
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
