"""Figures of what is stored: turns directly on the store, and a long conversation against a short one."""

import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from benchmarks.bench import POSTGRES, SQLITE, Bench
from benchmarks.figures import Figure, figure, ratios
from benchmarks.processes import ROOT
from benchmarks.workers.client import Tally, connect, request, visitor_token
from parlour.features.chat.store import accepting, runs
from parlour.features.chat.values import Lease, Outcome, Send
from parlour.features.people.store import remember
from parlour.infra.storage.database import WORKER, Work
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.events import Entry, EventKind, Position
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.principal import Principal, Role
from tests.harness.gates import OPEN, for_nothing

SHORT, LONG = 10, 10_000  # messages
AT_ONCE = 250  # turns in one unit of work: the server must come in between


def turns(bench: Bench) -> list[Figure]:
    """Turns kept per second and the CPU that one costs, sixteen clients directly on the store."""
    seconds = 2.0 if bench.quick else 4.0
    cost: dict[str, list[float]] = {SQLITE: [], POSTGRES: []}
    speed: dict[str, list[float]] = {SQLITE: [], POSTGRES: []}
    for round_ in range(bench.rounds):
        for side in cost:
            with bench.postgres.database() as postgres:
                file = bench.folder / f"turns-{round_}.db"
                seen = _turns(f"sqlite:///{file}" if side == SQLITE else postgres, seconds)
            cost[side].append(seen["cpu_us_per_turn"])
            speed[side].append(seen["turns_per_second"])
    targets = {SQLITE: 400.0, POSTGRES: 500.0}
    return [
        figure(
            f"CPU of a stored turn, 16 clients ({side})",
            "µs",
            cost[side],
            target=targets[side],
            sides={"turns per s": speed[side]},
        )
        for side in cost
    ]


def _turns(url: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.workers.turns", url, str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    seen: dict[str, float] = json.loads(done.stdout)
    return seen


def long_conversation(bench: Bench) -> list[Figure]:
    """Sending in and opening a conversation of 10,000 messages, over one of 10."""
    return asyncio.run(_long_conversation(bench))


async def _long_conversation(bench: Bench) -> list[Figure]:
    samples = 15 if bench.quick else 40
    server = bench.contenders[SQLITE]
    visitor, token = visitor_token(server.port)
    file = bench.folder / "sqlite" / "data" / "parlour.db"
    short = [await _fill(file, visitor, SHORT) for _ in range(bench.rounds * samples)]
    long = await _fill(file, visitor, LONG)
    sent: dict[str, list[float]] = {"short": [], "long": []}
    opened: dict[str, list[float]] = {"short": [], "long": []}
    for _ in range(bench.rounds):
        batch = [short.pop() for _ in range(samples)]
        times: dict[str, list[tuple[float, float]]] = {"short": [], "long": []}
        for session in batch:
            for name, target in (("short", session), ("long", long)):
                opening = _open(server.port, token, target)
                times[name].append((opening, await _send(server.port, token, target)))
        for name, pairs in times.items():
            opened[name].append(statistics.median(opening for opening, _ in pairs))
            sent[name].append(statistics.median(sending for _, sending in pairs))
    return [
        figure(
            f"{word} a conversation of {LONG:,} messages over one of {SHORT} ({SQLITE})",
            "x",
            ratios(each["long"], each["short"]),
            target=1.2,
            sides={f"{SHORT} ms": each["short"], f"{LONG:,} ms": each["long"]},
        )
        for word, each in (("Sending in", sent), ("Opening", opened))
    ]


async def _fill(file: Path, person_id: str, messages: int) -> str:
    """Keep a conversation of so many messages for a person, beside the running server; return its id."""
    database = open_database(f"sqlite:///{file}")
    principal = Principal(person_id, Role.VISITOR)
    lease = Lease(owner="benchmark")
    session: str | None = None
    left = messages // 2
    while left:
        session = await database.write(WORKER, _filling(principal, lease, session, min(left, AT_ONCE)))
        left -= min(left, AT_ONCE)
    await database.close()
    assert session is not None
    return session


def _filling(principal: Principal, lease: Lease, session: str | None, turns: int) -> Work[str]:
    def work(connection: Connection) -> str:
        kept = session
        for _ in range(turns):
            now = datetime.now(UTC)
            send = Send(text="What else is there to know?", assistant_id="default", session_id=kept)
            run = accepting.accept(
                connection, principal, send, lease=lease, title="Long", now=now, remember=remember, gate=OPEN
            ).run
            end = Entry(Position(run.fence, 1), EventKind.DONE, b"{}")
            outcome = Outcome(finish_reason=FinishReason.STOP, content="This, and that, and a third thing.")
            runs.finish(connection, lease, run, outcome, [end], now=now, settle=for_nothing)
            kept = run.session_id
        assert kept is not None
        return kept

    return work


def _open(port: int, token: str, session: str) -> float:
    """Return the milliseconds that the newest ten messages take."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    began = time.perf_counter()
    connection.request(
        "GET",
        f"/api/chat/sessions/{session}/messages?limit=10",
        headers={"Authorization": f"Bearer {token}"},
    )
    items = json.loads(connection.getresponse().read())["items"]
    took = time.perf_counter() - began
    connection.close()
    assert len(items) == 10
    return took * 1000


async def _send(port: int, token: str, session: str) -> float:
    """Return the milliseconds from sending a message to the first word of its answer."""
    reader = await connect(port, Tally())
    text = "And what else? [tokens=1 rate=100]"
    assert await reader.ask(request("parlour", text, token=token, session=session.encode()), 100)
    reader.close()
    assert reader.first is not None
    return reader.first
