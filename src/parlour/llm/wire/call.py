"""One HTTP call to a provider, whatever it speaks: request, timeouts, the stream, its end, and its failures.

What a provider's file states is only its wire format, as a :class:`Wire`: where to ask, the body made of a
prompt, and a :class:`Reader` of what comes back. It makes a :class:`Line` to its address and hands out the
line's own generator, so that no token passes through one more of them::

    class Somebody:
        def __init__(self, *, session, model, api_key="", base_url=..., timeouts=None) -> None:
            self.provider, self.name, self._key = "somebody", model, api_key.strip()
            headers = {"X-Key": self._key} if self._key else {}
            self._line = Line(session=session, base_url=base_url, headers=headers, secret=self._key,
                              timeouts=timeouts)

        async def models(self) -> list[str]:
            document = await self._line.get("/v1/models")

        def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
            return self._line.answer(self, prompt)

        # and, for the line: path(), body(prompt), reader(prompt), concede(status, complaint, body, prompt)

The reader takes the bytes as they arrive. After each ``feed`` the line gives out the text it returned, then
the tool calls that became whole (``reader.calls``, which the line empties), and at the end one ``Finish``.
A reader that has met its provider's error sets ``failure`` and ``over``; what it said before stays said.

Whether a failed call is made again is decided above, in :mod:`parlour.llm.retry`.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import orjson

from parlour.llm.model import Finish, ModelEvent, Prompt, Text, ToolCall
from parlour.llm.timeouts import Timeouts, Watch
from parlour.llm.wire.failures import LONGEST_CAUSE, Complaint, complaint_of, failure, retry_after
from parlour.llm.wire.ticks import Ticks
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
from parlour.vocabulary.usage import Usage

# Twice the longest answer any model can give today (128,000 tokens of about four characters).
# What is longer is a model that has lost its way, and ends with the finish reason "length".
LONGEST_ANSWER = 1_000_000
# An error page, or an answer from a server that does not stream.
LARGEST_BODY = 8 * 1024 * 1024
# A batch of embeddings: 2,048 vectors of 3,072 numbers in decimals.
LARGEST_DOCUMENT = 128 * 1024 * 1024
# How long the end of a response may take after that of the answer, so that its connection can be used again.
ENDING = 1.0


class Reader(Protocol):
    """The state of one answer while it comes in: bytes at any boundary in, text and tool calls out."""

    over: bool
    """Nothing more will be said: the formal end or an error has come, or the stream was closed."""
    failure: ProviderError | None
    """What the provider gave as its reason to stop in the middle; what came before it was said."""
    finish: FinishReason | None
    """Set when every word is there, even if formalities such as the usage may follow."""
    usage: Usage | None
    refused: bool
    """The provider refused or filtered the answer, whatever its finish reason says."""
    lively: bool
    """The last :meth:`feed` brought a word, a thought or a part of a tool call, not only keep-alives."""
    calls: list[ToolCall]
    """Tool calls that are whole and were not given out yet. The line takes them away."""

    @property
    def complete(self) -> bool:
        """The provider said in one way or another that this is all."""
        ...

    @property
    def gibberish(self) -> bool:
        """Something came, and nothing of it was an answer: a web page, or another protocol."""
        ...

    def feed(self, data: bytes) -> str:
        """Return the text that ``data`` completes, all pieces in one."""
        ...

    def feed_whole(self, body: bytes) -> str:
        """Take an answer that came as one JSON document, although a stream was asked for."""
        ...

    def close(self) -> str:
        """Return what the end of the stream leaves, such as a last line without its end."""
        ...


class Wire(Protocol):
    """The wire format of one model of one provider, as its file states it."""

    def path(self) -> str:
        """Return what follows the base URL when a prompt is sent; it may carry a query."""
        ...

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Return the request as a JSON document."""
        ...

    def reader(self, prompt: Prompt) -> Reader:
        """Return a reader for one answer."""
        ...

    def concede(
        self, status: int, complaint: Complaint, body: Mapping[str, Any], prompt: Prompt
    ) -> Prompt | None:
        """Return the prompt to ask with now that ``body``, made of this one, was refused; None to give up.

        What the model does not support at all is remembered, and :meth:`body` leaves it out from then on.
        What is wrong with this one prompt, as with a caller's JSON schema, is changed in this prompt only:
        it must not take anything from the next one.
        """
        ...


class Line:
    """The way to one provider over one shared HTTP session. Many answers may stream at once."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        timeouts: Timeouts | None = None,
    ) -> None:
        """Take the session to use; it stays its maker's to close.

        ``headers`` go with every request, the one with the key among them; ``secret`` is the key itself, so
        that no error quotes it.
        """
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}  # compressed streams come in lumps
        self._secret = secret
        self.timeouts = timeouts or Timeouts()
        self._ticks = Ticks()

    async def get(self, path: str) -> Any:  # noqa: ANN401 - the provider's document, whatever it holds
        """Return the JSON document at ``path``; it must come within the time for the first word."""
        return await self._document("GET", path, None)

    async def post(self, path: str, document: object) -> Any:  # noqa: ANN401 - as above
        """Return the JSON document that answers ``document``, within the time for the first word."""
        return await self._document("POST", path, orjson.dumps(document))

    async def answer(self, wire: Wire, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` as :class:`parlour.llm.model.Model` says; closing this closes the socket."""
        watch = Watch(self.timeouts, prompt.time_left)
        response = await self._open(wire, prompt, watch)
        self._ticks.answers += 1
        reader = wire.reader(prompt)
        try:
            watch.begin(lambda late: _interrupt(response, late))
            read = self._read_whole if response.content_type == "application/json" else self._read
            room = LONGEST_ANSWER - len(prompt.partial)
            said, called, blank = False, False, ""
            while not reader.over and room > 0:
                text = blank + await read(response, reader)
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
                while reader.calls:
                    watch.rest()
                    yield reader.calls.pop(0)
                    called = True
                if reader.finish is not None:
                    watch.hurry(ENDING)
                elif reader.lively:
                    watch.expect("stall" if said or called else "first_token")
                    if said:
                        self._ticks.rest(response)
            yield _finish(reader, said=said or bool(prompt.partial), called=called, cut=room <= 0)
            if reader.over:
                await _use_up(response)
        except ProviderError as error:
            error.usage = reader.usage
            # Of a failure that it names itself, a provider that wants to be paid says how much.
            error.taken = error is not reader.failure or reader.usage is not None
            raise
        finally:
            self._ticks.answers -= 1
            watch.stop()
            response.close()

    async def _open(self, wire: Wire, prompt: Prompt, watch: Watch) -> aiohttp.ClientResponse:
        """Send the prompt and return the response once its headers say that an answer follows."""
        try:
            async with asyncio.timeout_at(watch.due):
                while True:
                    body = wire.body(prompt)
                    response = await self._request("POST", wire.path(), orjson.dumps(body))
                    if response.status == 200:
                        return response
                    async with response:
                        complaint = complaint_of(await _body_of(response))
                    conceded = wire.concede(response.status, complaint, body, prompt)
                    if conceded is None:
                        raise self._failure(response, complaint)
                    prompt = conceded
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._broken(error, watch.verdict()) from error

    async def _document(self, method: str, path: str, body: bytes | None) -> Any:  # noqa: ANN401 - as above
        limit = self.timeouts.first_token
        try:
            async with asyncio.timeout(limit):
                async with await self._request(method, path, body) as response:
                    answer = await _body_of(response, LARGEST_DOCUMENT)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._broken(error, TimedOut("first_token", limit)) from error
        if response.status != 200:
            raise self._failure(response, complaint_of(answer))
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise Garbled(cause=f"{method} {path} gave no JSON") from error

    async def _request(self, method: str, path: str, body: bytes | None = None) -> aiohttp.ClientResponse:
        if not (self._secret.isascii() and (self._secret.isprintable())):
            raise BadKey(cause="the key has characters that no HTTP header can carry")
        return await self._session.request(
            method,
            self._base_url + path,
            data=body,
            headers=self._headers if body is None else {**self._headers, "Content-Type": "application/json"},
            # Waiting for a free connection, the name, TCP and TLS together; all else is the watch's.
            timeout=aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect),
            # The key goes to the address the operator gave, and nowhere else.
            allow_redirects=False,
        )

    async def _read(self, response: aiohttp.ClientResponse, reader: Reader) -> str:
        """Return the text of everything that has arrived since the last read, waiting if that is nothing."""
        try:
            data = await response.content.readany()
        except (aiohttp.ClientError, TimedOut) as error:
            if reader.finish is not None:
                return reader.close()  # every word is there; only the line broke before its formal end
            raise self._broken(error) from error
        return reader.feed(data) if data else reader.close()

    async def _read_whole(self, response: aiohttp.ClientResponse, reader: Reader) -> str:
        """Return the answer of a server that does not stream."""
        try:
            body = await _body_of(response)
        except aiohttp.ClientError as error:
            raise self._broken(error) from error
        return reader.feed_whole(body)

    def _failure(self, response: aiohttp.ClientResponse, complaint: Complaint) -> ProviderError:
        wait = retry_after(response.headers)
        return failure(response.status, complaint, wait=wait, secret=self._secret)

    def _broken(self, error: Exception, late: TimedOut | None = None) -> ProviderError:
        """Return our word for a connection that failed; ``late`` is what a bare timeout means here."""
        if isinstance(error, TimedOut):
            return error
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return TimedOut("connect", self.timeouts.connect)
        if isinstance(error, TimeoutError) and late is not None:
            return late
        return Unreachable(cause=f"{type(error).__name__}: {error}"[:LONGEST_CAUSE])


def _finish(reader: Reader, *, said: bool, called: bool, cut: bool) -> Finish:
    """Return the end of an answer, or raise what its end means."""
    if cut:
        return Finish(FinishReason.LENGTH, reader.usage)
    if reader.failure is not None:
        raise reader.failure
    if reader.gibberish:
        raise Garbled(cause="nothing in the provider's stream could be read")
    if not reader.complete:
        raise Unreachable(cause="the stream ended without a finish reason and without its formal end")
    reason = FinishReason.FILTERED if reader.refused else reader.finish or FinishReason.STOP
    if called and reason is FinishReason.STOP:
        reason = FinishReason.TOOL_CALLS  # some servers know no other word for a regular end
    elif reason is FinishReason.TOOL_CALLS and not called:
        reason = FinishReason.STOP
    if said or called:
        return Finish(reason, reader.usage)
    if reason is FinishReason.FILTERED:
        raise Refused(cause="the provider refused or filtered the answer")
    spent = reason is FinishReason.LENGTH
    raise EmptyAnswer(spent=spent, cause=f"finish reason {reason.value}, and not a word")


def _interrupt(response: aiohttp.ClientResponse, late: TimedOut) -> None:
    """Let the provider go at once: whoever reads may be stuck, and hears of it with the next read."""
    response.content.set_exception(late)
    response.close()


async def _body_of(response: aiohttp.ClientResponse, most: int = LARGEST_BODY) -> bytes:
    """Return the body, or as much of it as is reasonable."""
    body = bytearray()
    while len(body) < most and (data := await response.content.readany()):
        body += data
    return bytes(body[:most])


async def _use_up(response: aiohttp.ClientResponse) -> None:
    """Read to the end of the response, so that its connection can carry the next question."""
    with suppress(aiohttp.ClientError, TimeoutError, TimedOut):
        async with asyncio.timeout(ENDING):
            while await response.content.readany():
                pass
