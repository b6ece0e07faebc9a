"""The readers: raw sockets that do no more than count words and look at the clock.

    python -m benchmarks.workers.client < job.json

runs one job in a process of its own, so that neither the readers' work nor the parent's gets into a server's
figures, and prints what it saw as JSON. A job reads the server's CPU clock at the edges of its own window.
"""

import asyncio
import http.client
import json
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
import uvloop

from benchmarks.processes import cpu_seconds, resident_bytes

MARK = b"~"
TURNS = 5  # messages of a conversation before the next one begins
QUESTIONS = (
    "How do I connect a model of my own?",
    "What happens to an answer when the server restarts?",
    "Can I give it my own documents, and which kinds?",
    "Where is everything kept, and how do I back it up?",
    "Which limits are there, and how do I change them?",
)

_BEGAN = re.compile(rb"~@(\d+\.\d+)")
_SESSION = re.compile(rb'"sessionId":"([0-9a-f-]{36})"')


@dataclass(frozen=True)
class Job:
    """What readers shall do. ``server`` is the process whose CPU and memory the answer tells."""

    kind: str  # parlour, relay, upstream or litellm
    port: int
    server: int
    readers: int
    answers: int
    tokens: int
    rate: int
    ramp: float = 0.0  # seconds over which the readers come
    settle: float = 0.0  # seconds after the ramp before the window opens; 0 counts everything
    window: float = 0.0
    key: str = ""


@dataclass
class Seen:
    """What a job saw. Milliseconds, except ``cpu`` and ``seconds``."""

    answers: int = 0
    failures: int = 0
    tokens: int = 0
    cpu: float = 0.0
    seconds: float = 0.0
    memory_before: int = 0
    memory_during: int = 0
    first: list[float] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)


class Tally:
    """Counts for all readers of a job."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.tokens = 0
        self.late: Counter[int] = Counter()

    def lateness(self, share: float) -> float:
        """Return the lateness in milliseconds that ``share`` of the words kept within."""
        wanted = share * self.late.total()
        for milliseconds in sorted(self.late):
            wanted -= self.late[milliseconds]
            if wanted <= 0:
                return float(milliseconds)
        return 0.0


class Reader(asyncio.Protocol):
    """One connection, one answer at a time."""

    def __init__(self, tally: Tally) -> None:
        """Count into ``tally``."""
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self._sent = self._began = self._period = 0.0
        self._head: bytes | None = b""
        self._tail = b""
        self.first: float | None = None
        self.tokens = 0
        self.session: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the connection."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the answer under way."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionError("closed in the middle"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    async def ask(self, request: bytes, rate: int) -> bool:
        """Send a request and read its answer; tell whether it came to its proper end."""
        assert self._transport is not None
        self._done = asyncio.get_running_loop().create_future()
        self._head, self._tail, self.first, self.tokens = b"", b"", None, 0
        self._period = 1 / rate
        self._sent = time.monotonic()
        self._transport.write(request)
        await self._done
        return b"[DONE]" in self._tail

    def data_received(self, data: bytes) -> None:
        """Count the words in ``data``."""
        count = data.count(MARK)
        if count:
            now = time.monotonic()
            if self._head is not None:
                self._note_first(now, self._head + data)
            due = self._began + self.tokens * self._period
            for _ in range(count):
                self._tally.late[int((now - due) * 1000)] += 1
                due += self._period
            self.tokens += count
            self._tally.tokens += count
        elif self._head is not None:
            self._head += data
        self._tail = data[-64:] if len(data) >= 64 else (self._tail + data)[-64:]
        if self._tail.endswith(b"0\r\n\r\n"):
            self._end()
        elif self._head and not self._head.startswith(b"HTTP/1.1 200"):
            self._refused(self._head)

    def _note_first(self, now: float, head: bytes) -> None:
        began = _BEGAN.search(head)
        if began is None:
            raise RuntimeError(f"no beginning in {head!r}")
        self._began = float(began[1])
        self.first = (now - self._sent) * 1000
        session = _SESSION.search(head)
        self.session = session[1] if session else None
        self._head = None

    def _end(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _refused(self, head: bytes) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(head.decode(errors="replace")))


def request(kind: str, text: str, *, token: str | None = None, session: bytes | None = None) -> bytes:
    """Return the bytes that ask ``text`` of a server of this kind."""
    paths = {"parlour": "/api/chat", "relay": "/chat"}
    body: dict[str, Any] = {"message": text}
    if kind == "parlour":
        body["stream"] = True
        if session is not None:
            body["sessionId"] = session.decode()
    elif kind in ("upstream", "litellm"):
        body = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": text}]}
    content = orjson.dumps(body)
    path = paths.get(kind, "/v1/chat/completions")
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    lines += [f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content


def visitor_token(port: int) -> tuple[str, str]:
    """Come in as a new visitor; return their id and token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/api/visitors")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["visitorId"], answer["token"]


async def connect(port: int, tally: Tally) -> Reader:
    """Return a reader with a connection."""
    loop = asyncio.get_running_loop()
    _, reader = await loop.create_connection(lambda: Reader(tally), "127.0.0.1", port)
    return reader


async def _read(job: Job, place: int, token: str | None, seen: Seen, tally: Tally) -> None:
    await asyncio.sleep(job.ramp * place / job.readers)
    reader = await connect(job.port, tally)
    wish = f"[tokens={job.tokens} rate={job.rate}]"
    session = None
    for turn in range(job.answers):
        if turn % TURNS == 0:
            session = None
        text = f"{QUESTIONS[(place + turn) % len(QUESTIONS)]} {wish}"
        whole = await reader.ask(request(job.kind, text, token=token, session=session), job.rate)
        session = reader.session
        if whole and reader.tokens == job.tokens and reader.first is not None:
            seen.answers += 1
            seen.first.append(reader.first)
        else:
            seen.failures += 1
    reader.close()


async def run(job: Job) -> Seen:
    """Do a job and return what was seen."""
    seen, tally = Seen(), Tally()
    tokens = [
        visitor_token(job.port)[1] if job.kind == "parlour" else job.key or None for _ in range(job.readers)
    ]
    seen.memory_before = resident_bytes(job.server)
    began, cpu, counted = time.monotonic(), cpu_seconds(job.server), 0
    tasks = [asyncio.create_task(_read(job, place, token, seen, tally)) for place, token in enumerate(tokens)]
    if job.window:
        await asyncio.sleep(job.ramp + job.settle)
        tally.late.clear()
        began, cpu, counted = time.monotonic(), cpu_seconds(job.server), tally.tokens
        await asyncio.sleep(job.window)
        _close_window(job, seen, tally, began=began, cpu=cpu, counted=counted)
        seen.late = {f"p{share}": tally.lateness(share / 100) for share in (50, 95, 99)}
        # A reader that leaves ends no answer: it would go on beside what is measured next.
        await asyncio.gather(*tasks)
    else:
        await asyncio.gather(*tasks)
        _close_window(job, seen, tally, began=began, cpu=cpu, counted=counted)
    return seen


def _close_window(job: Job, seen: Seen, tally: Tally, *, began: float, cpu: float, counted: int) -> None:
    seen.cpu = cpu_seconds(job.server) - cpu
    seen.seconds = time.monotonic() - began
    seen.tokens = tally.tokens - counted
    seen.memory_during = resident_bytes(job.server)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(uvloop.run(run(Job(**json.load(sys.stdin)))))))
