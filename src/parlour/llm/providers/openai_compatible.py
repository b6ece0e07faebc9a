"""OpenAI and every server that speaks its chat-completions API, over one shared HTTP session.

Owns one call: request, timeouts, the stream and its end. What the bytes mean is read in
:mod:`parlour.llm.wire`; whether a failed call is made again is decided in :mod:`parlour.llm.retry`.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from parlour.llm.model import Finish, ModelEvent, Prompt, Text
from parlour.llm.prompting import ChatMessage, chat_messages
from parlour.llm.timeouts import Timeouts, Watch
from parlour.llm.wire.chat_completions import ChatStream
from parlour.llm.wire.failures import LONGEST_CAUSE, Complaint, complaint_of, failure, retry_after
from parlour.vocabulary.errors import (
    BadKey,
    EmptyAnswer,
    Garbled,
    ProviderError,
    Refused,
    TimedOut,
    Unreachable,
)
from parlour.vocabulary.messages import FinishReason

DEFAULT_BASE_URL = "https://api.openai.com/v1"
# As of genai-prices 0.2.3 (2026-11): the newest models that OpenAI describes as "fast, efficient … clear,
# natural writing" (1 and 5 USD per million tokens) and "efficient … high-volume" (0.10 and 0.50 USD).
DEFAULT_MODEL = "gpt-6.1-terra"
DEFAULT_SMALL_MODEL = "gpt-6-luna"

# Twice the longest answer any model can give today (128,000 tokens of about four characters).
# What is longer is a model that has lost its way, and ends with the finish reason "length".
LONGEST_ANSWER = 1_000_000
# An error page, or an answer from a server that does not stream.
LARGEST_BODY = 8 * 1024 * 1024
# How long the end of a response may take after [DONE], so that the connection can be used again.
ENDING = 1.0

# Parameters that some servers refuse while others demand them. One refused by name is left out from then on.
_LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
_OPTIONAL = ("temperature", "stream_options", *_LIMIT_NAMES)
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|unknown|unrecognized|not permitted|extra (fields|inputs)", re.IGNORECASE
)


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
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._key = api_key.strip()
        self._timeouts = timeouts or Timeouts()
        own = urlsplit(self._base_url).hostname == urlsplit(DEFAULT_BASE_URL).hostname
        self.provider = provider or ("openai" if own else "openai_compatible")
        self.name = model
        # OpenAI's newer models refuse the old name of the limit; older servers do not know the new one.
        self._limit_names = tuple(reversed(_LIMIT_NAMES)) if own else _LIMIT_NAMES
        self._unsupported: set[str] = set()

    async def models(self) -> list[str]:
        """Return the ids of the models on offer: the cheapest way to see whether address and key hold."""
        try:
            async with asyncio.timeout(self._timeouts.first_token):
                async with await self._request("GET", "/models") as response:
                    body = await _body_of(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._broken(error, TimedOut("first_token", self._timeouts.first_token)) from error
        if response.status != 200:
            raise self._failure(response, complaint_of(body))
        try:
            return [str(each["id"]) for each in orjson.loads(body)["data"]]
        except (ValueError, KeyError, TypeError) as error:
            raise Garbled(cause=f"GET /models gave no list of models: {type(error).__name__}") from error

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` as :class:`parlour.llm.model.Model` says; closing this closes the socket."""
        watch = Watch(self._timeouts)
        response = await self._open(prompt, watch)
        try:
            watch.begin(response.content.set_exception)
            answer = ChatStream(secret=self._key)
            read = self._read_whole if response.content_type == "application/json" else self._read
            room = LONGEST_ANSWER - len(prompt.partial)
            said, blank = False, ""
            while not answer.over and room > 0:
                text = blank + await read(response, answer)
                if said or text.strip():
                    blank = ""
                else:
                    # Blank text alone would be an empty bubble: it is shown with the first word after it.
                    text, blank = "", text
                if text:
                    watch.rest()
                    yield Text(text[:room])
                    said = True
                    room -= len(text)
                if answer.finish is not None:
                    watch.hurry(ENDING)
                elif answer.lively:
                    watch.expect("stall" if said else "first_token")
            yield _finish(answer, said=said or bool(prompt.partial), cut=room <= 0)
            if answer.over:
                await _use_up(response)
        finally:
            watch.stop()
            response.close()

    async def _open(self, prompt: Prompt, watch: Watch) -> aiohttp.ClientResponse:
        """Send the prompt and return the response once its headers say that an answer follows."""
        messages = chat_messages(prompt)
        try:
            async with asyncio.timeout_at(watch.due):
                while True:
                    body = self._body(prompt, messages)
                    response = await self._request("POST", "/chat/completions", orjson.dumps(body))
                    if response.status == 200:
                        return response
                    async with response:
                        complaint = complaint_of(await _body_of(response))
                    if not self._concede(response.status, complaint, body):
                        raise self._failure(response, complaint)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._broken(error, watch.verdict()) from error

    def _body(self, prompt: Prompt, messages: list[ChatMessage]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        limit_name = next((name for name in self._limit_names if name not in self._unsupported), None)
        if prompt.max_tokens is not None and limit_name is not None:
            body[limit_name] = prompt.max_tokens
        return {name: value for name, value in body.items() if name not in self._unsupported}

    def _concede(self, status: int, complaint: Complaint, body: dict[str, Any]) -> bool:
        """Remember a parameter that the server does not support; tell whether to ask again without it."""
        words = " ".join([*complaint.words, complaint.message])
        if status not in (400, 422) or not _UNSUPPORTED.search(words):
            return False
        named = (complaint.param or "").partition(".")[0]
        quoted = next((name for name in _OPTIONAL if f"'{name}'" in complaint.message), None)
        culprit = named if named in _OPTIONAL else quoted
        if culprit is None or culprit not in body:
            return False
        self._unsupported.add(culprit)
        return True

    async def _request(self, method: str, path: str, body: bytes | None = None) -> aiohttp.ClientResponse:
        headers = {"Accept-Encoding": "identity"}  # a compressed stream comes in lumps
        if self._key:
            if not (self._key.isascii() and self._key.isprintable()):
                raise BadKey(cause="the key has characters that no HTTP header can carry")
            headers["Authorization"] = f"Bearer {self._key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self._session.request(
            method,
            self._base_url + path,
            data=body,
            headers=headers,
            # Waiting for a free connection, the name, TCP and TLS together; all else is the watch's.
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
            # The key goes to the address the operator gave, and nowhere else.
            allow_redirects=False,
        )

    async def _read(self, response: aiohttp.ClientResponse, answer: ChatStream) -> str:
        """Return the text of everything that has arrived since the last read, waiting if that is nothing."""
        try:
            data = await response.content.readany()
        except (aiohttp.ClientError, TimedOut) as error:
            if answer.finish is not None:
                return answer.close()  # every word is there; only the line broke before its formal end
            raise self._broken(error) from error
        return answer.feed(data) if data else answer.close()

    async def _read_whole(self, response: aiohttp.ClientResponse, answer: ChatStream) -> str:
        """Return the answer of a server that does not stream."""
        try:
            body = await _body_of(response)
        except aiohttp.ClientError as error:
            raise self._broken(error) from error
        return answer.feed_whole(body)

    def _failure(self, response: aiohttp.ClientResponse, complaint: Complaint) -> ProviderError:
        wait = retry_after(response.headers)
        return failure(response.status, complaint, wait=wait, secret=self._key)

    def _broken(self, error: Exception, late: TimedOut | None = None) -> ProviderError:
        """Return our word for a connection that failed; ``late`` is what a bare timeout means here."""
        if isinstance(error, TimedOut):
            return error
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return TimedOut("connect", self._timeouts.connect)
        if isinstance(error, TimeoutError) and late is not None:
            return late
        return Unreachable(cause=f"{type(error).__name__}: {error}"[:LONGEST_CAUSE])


def _finish(answer: ChatStream, *, said: bool, cut: bool) -> Finish:
    """Return the end of an answer, or raise what its end means."""
    if cut:
        return Finish(FinishReason.LENGTH, answer.usage)
    if answer.failure is not None:
        raise answer.failure
    if answer.gibberish:
        raise Garbled(cause="nothing in the provider's stream could be read")
    if not answer.complete:
        raise Unreachable(cause="the stream ended without a finish reason and without [DONE]")
    reason = FinishReason.FILTERED if answer.refused else answer.finish or FinishReason.STOP
    if said:
        return Finish(reason, answer.usage)
    if reason is FinishReason.FILTERED:
        raise Refused(cause="the provider refused or filtered the answer")
    raise EmptyAnswer(cause=f"finish reason {reason.value}, and not a word")


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    """Return the body, or as much of it as is reasonable."""
    body = bytearray()
    while len(body) < LARGEST_BODY and (data := await response.content.readany()):
        body += data
    return bytes(body[:LARGEST_BODY])


async def _use_up(response: aiohttp.ClientResponse) -> None:
    """Read to the end of the response, so that its connection can carry the next question."""
    with suppress(aiohttp.ClientError, TimeoutError, TimedOut):
        async with asyncio.timeout(ENDING):
            while await response.content.readany():
                pass
