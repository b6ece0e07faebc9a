"""A fake model provider that costs next to nothing: precomputed chunks at a set pace, straight to the socket.

    python -m benchmarks.workers.upstream PORT

It answers every POST as OpenAI's streaming chat completions do. The newest ``[tokens=200 rate=100]`` in the
request says how much and how fast; a request for a short answer (a title) gets a few words at once. The
first word carries the moment at which the answer began, so that a reader can tell how late each word came.
"""

import asyncio
import re
import socket
import sys
import time
from collections import deque

import orjson
import uvloop

MARK = b"~"  # exactly one in every word: readers count words by it, wherever the stream is cut
TITLE_WORDS = 6
SHORT = 100  # tokens; a request for no more wants a title

_WISH = re.compile(rb"\[tokens=(\d+) rate=(\d+)\]")
_LIMIT = re.compile(rb'"max_(?:completion_)?tokens": *(\d+)')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_WORDS = [f" ~w{number:03d}" for number in range(64)]


def _piece(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    document = {
        "id": "chatcmpl-BenchmarkBenchmarkBench01",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "bench-model",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }
    return _piece(b"data: %b\n\n" % orjson.dumps(document))


_ROLE = _chunk({"role": "assistant", "content": ""})
_CHUNKS = [_chunk({"content": word}) for word in _WORDS]


def _ending(words: int) -> bytes:
    usage = {"prompt_tokens": 100, "completion_tokens": words, "total_tokens": 100 + words}
    last = {"id": "chatcmpl-BenchmarkBenchmarkBench01", "choices": [], "usage": usage}
    return b"".join(
        (
            _chunk({}, "stop"),
            _piece(b"data: %b\n\n" % orjson.dumps(last)),
            _piece(b"data: [DONE]\n\n"),
            b"0\r\n\r\n",
        )
    )


class _Answer:
    """One answer under way."""

    __slots__ = ("due", "said", "transport", "words")

    def __init__(self, transport: asyncio.Transport, words: int, due: float) -> None:
        self.transport = transport
        self.words = words
        self.said = 1
        self.due = due


class _Pace:
    """All answers of one speed, in the order of their next words: one timer for all of them."""

    def __init__(self, rate: int) -> None:
        self._period = 1 / rate
        self._answers: deque[_Answer] = deque()
        self._loop = asyncio.get_running_loop()
        self._armed = False

    def begin(self, transport: asyncio.Transport, words: int) -> None:
        now = time.monotonic()
        transport.write(_HEAD + _ROLE + _chunk({"content": f" ~@{now:.6f} "}))
        answer = _Answer(transport, words, now + self._period)
        if answer.said >= words:
            transport.write(_ending(words))
            return
        self._answers.append(answer)
        if not self._armed:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        self._loop.call_later(max(0.001, self._answers[0].due - time.monotonic()), self._speak)

    def _speak(self) -> None:
        now = time.monotonic()
        answers = self._answers
        while answers and answers[0].due <= now:
            answer = answers.popleft()
            transport = answer.transport
            if transport.is_closing():
                continue
            transport.write(_CHUNKS[answer.said & 63])
            answer.said += 1
            if answer.said >= answer.words:
                transport.write(_ending(answer.words))
            else:
                answer.due += self._period
                answers.append(answer)
        self._armed = False
        if answers:
            self._arm()


class _Connection(asyncio.Protocol):
    """Reads requests, and nothing of them but their length and what they wish for."""

    def __init__(self, paces: dict[int, _Pace]) -> None:
        self._paces = paces
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if length is not None and len(body) < int(length[1]):
            return
        self._received = b""
        if head.startswith(b"POST"):
            self._answer(body)
        elif self._transport is not None:
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    def _answer(self, body: bytes) -> None:
        transport = self._transport
        assert transport is not None
        wishes = _WISH.findall(body)
        words, rate = (int(wishes[-1][0]), int(wishes[-1][1])) if wishes else (TITLE_WORDS, 1000)
        limit = _LIMIT.search(body)
        if limit is not None and int(limit[1]) <= SHORT:
            words, rate = TITLE_WORDS, 1000
        pace = self._paces.get(rate)
        if pace is None:
            pace = self._paces[rate] = _Pace(rate)
        pace.begin(transport, words)


async def _serve(port: int) -> None:
    paces: dict[int, _Pace] = {}
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(paces), sock=listener)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
