"""Figures of answers that stream: CPU, time to the first word, lateness, memory."""

from collections.abc import Callable

from benchmarks.bench import POSTGRES, RELAY, SQLITE, Bench
from benchmarks.figures import Figure, figure, percentile, ratios
from benchmarks.processes import Server, start_parlour, start_relay
from benchmarks.workers.client import Seen

Jobs = dict[str, list[Seen]]


def _alternating(sides: tuple[str, ...], job: Callable[[str], Seen], rounds: int) -> Jobs:
    """Give every side the same job, in turns, so that what disturbs the machine disturbs them alike."""
    seen: Jobs = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            seen[side].append(job(side))
    return seen


def _per_token(seen: list[Seen]) -> list[float]:
    return [each.cpu / each.tokens * 1e6 for each in seen]


def first_word(bench: Bench) -> list[Figure]:
    """Added time to the first word: one reader, one question after the other."""
    answers = 40 if bench.quick else 100
    servers = {"upstream": bench.upstream, **bench.contenders}

    def job(side: str) -> Seen:
        return bench.ask(servers[side], readers=1, answers=answers, tokens=2, rate=1000)

    seen = _alternating(tuple(servers), job, bench.rounds)
    base = [percentile(each.first, 0.5) for each in seen["upstream"]]
    figures = []
    for share, word in ((0.5, "p50"), (0.99, "p99")):
        added = {
            side: [
                percentile(each.first, share) - least for each, least in zip(seen[side], base, strict=True)
            ]
            for side in bench.contenders
        }
        for side, target in ((SQLITE, 4.0), (POSTGRES, 5.0)):
            figures.append(
                figure(
                    f"Added time to the first word, {word} ({side})",
                    "ms",
                    added[side],
                    target=target if share == 0.5 else None,
                    sides={RELAY: added[RELAY]},
                )
            )
    return figures


def ten_readers(bench: Bench) -> list[Figure]:
    """CPU of a relayed token: ten readers at 100 tokens/s, answers of 200 tokens."""
    answers = 1 if bench.quick else 3

    def job(side: str) -> Seen:
        return bench.ask(bench.contenders[side], readers=10, answers=answers, tokens=200, rate=100)

    seen = _alternating(tuple(bench.contenders), job, bench.rounds)
    cost = {side: _per_token(each) for side, each in seen.items()}
    figures = [
        figure(
            f"CPU per token, 10 readers at 100 tokens/s ({side})",
            "x bare relay",
            ratios(cost[side], cost[RELAY]),
            target=1.5,
            sides={f"{RELAY} µs": cost[RELAY], "Parlour µs": cost[side]},
        )
        for side in (SQLITE, POSTGRES)
    ]
    speed = {side: [each.answers / each.cpu for each in seen[side]] for side in (RELAY, SQLITE)}
    figures.append(
        figure(
            f"200-token answers per CPU second ({SQLITE})",
            "x bare relay",
            ratios(speed[SQLITE], speed[RELAY]),
            target=0.6,
            relation="at least",
            sides={f"{RELAY} per s": speed[RELAY], "Parlour per s": speed[SQLITE]},
        )
    )
    return figures


def hundred_streams(bench: Bench) -> list[Figure]:
    """CPU of a relayed token while 100 streams are open at 50 tokens/s: begin and end do not count."""
    ramp, settle, window = (0.5, 0.5, 2.0) if bench.quick else (1.0, 1.0, 4.0)

    def job(side: str) -> Seen:
        tokens = int(
            (ramp + settle + window + 0.5) * 50
        )  # the first to come is still there when the window closes
        return bench.ask(
            bench.contenders[side],
            readers=100,
            answers=1,
            tokens=tokens,
            rate=50,
            ramp=ramp,
            settle=settle,
            window=window,
        )

    sides = tuple(bench.contenders)
    seen = _alternating(sides, job, bench.rounds)
    cost = {side: _per_token(each) for side, each in seen.items()}
    return [
        figure(
            f"CPU per token, 100 open streams at 50 tokens/s ({side})",
            "x bare relay",
            ratios(cost[side], cost[RELAY]),
            target=1.5,
            sides={f"{RELAY} µs": cost[RELAY], "Parlour µs": cost[side]},
        )
        for side in (SQLITE, POSTGRES)
    ]


def fixed_cost(bench: Bench) -> list[Figure]:
    """CPU of an answer of one word: everything that is not the stream."""
    answers = 20 if bench.quick else 50

    def job(side: str) -> Seen:
        return bench.ask(bench.contenders[side], readers=10, answers=answers, tokens=1, rate=100)

    seen = _alternating(tuple(bench.contenders), job, bench.rounds)
    cost = {side: [each.cpu / each.answers * 1000 for each in seen[side]] for side in seen}
    return [
        figure(f"Fixed CPU of an answer ({side})", "ms", cost[side], target=3.0, sides={RELAY: cost[RELAY]})
        for side in (SQLITE, POSTGRES)
    ]


def long_answers(bench: Bench) -> list[Figure]:
    """Cost of a token in an answer of 1,600 tokens over one of 400: nothing may grow with the answer."""
    rate = 800 if bench.quick else 400

    def job(length: str) -> Seen:
        return bench.ask(
            bench.contenders[SQLITE], readers=10, answers=1600 // int(length), tokens=int(length), rate=rate
        )

    seen = _alternating(("400", "1600"), job, bench.rounds)
    cost = {length: _per_token(each) for length, each in seen.items()}
    return [
        figure(
            f"CPU per token, 1,600-token answer over 400-token answer ({SQLITE})",
            "x",
            ratios(cost["1600"], cost["400"]),
            target=1.05,
            sides={"400 tokens µs": cost["400"], "1,600 tokens µs": cost["1600"]},
        )
    ]


LATE_MS = 100


def open_streams(bench: Bench) -> list[Figure]:
    """How many streams at 50 tokens/s one process carries, 95 of 100 words within 100 ms."""
    levels = (400,) if bench.quick else (240, 400, 520, 640)
    carried: dict[str, float] = {}
    lateness: dict[str, float] = {}
    for side in (SQLITE,) if bench.quick else (RELAY, SQLITE):
        carried[side] = 0
        for level in levels:
            late = _lateness(bench, side, level)
            if late > LATE_MS:
                late = _lateness(bench, side, level)  # once more: one disturbance is no limit
            if level == 400:
                lateness[side] = late
            if late > LATE_MS:
                break
            carried[side] = level
    sides = {f"{side}, p95 ms at 400": [late] for side, late in lateness.items()}
    if RELAY in carried:
        sides[RELAY] = [carried[RELAY]]
    return [
        figure(
            f"Open streams at 50 tokens/s, p95 at most {LATE_MS} ms late ({SQLITE})",
            "streams",
            [carried[SQLITE]],
            target=400,
            relation="at least",
            sides=sides,
        )
    ]


def _lateness(bench: Bench, side: str, level: int) -> float:
    ramp, settle, window = level / 100, 1.0, 3.0
    tokens = int((ramp + settle + window + 0.5) * 50)
    seen = bench.ask(
        bench.contenders[side], readers=level, answers=1, tokens=tokens, rate=50, ramp=ramp, settle=settle,
        window=window,
    )  # fmt: skip
    return seen.late["p95"]


def memory_of_streams(bench: Bench) -> list[Figure]:
    """Memory that each open stream takes: of fresh servers, what many streams take more than fewer did."""
    few, many = (50, 150) if bench.quick else (100, 300)
    taken: dict[str, list[float]] = {RELAY: [], SQLITE: []}
    for round_ in range(bench.rounds):
        for side in taken:
            folder = bench.folder / f"memory-{round_}-{side.replace(' ', '-')}"
            server = (start_relay if side == RELAY else start_parlour)(folder, bench.upstream)
            try:
                before, during = (_memory(bench, server, readers) for readers in (few, many))
            finally:
                server.stop()
            taken[side].append(max(0, during - before) / (many - few) / 1024)
    return [
        figure(
            f"Memory of an open stream ({SQLITE})",
            "KiB",
            taken[SQLITE],
            target=40,
            sides={RELAY: taken[RELAY]},
        )
    ]


def _memory(bench: Bench, server: Server, readers: int) -> int:
    """Return the memory of a server while so many streams are open and each has said something."""
    seen = bench.ask(server, readers=readers, answers=1, tokens=30, rate=10, ramp=2.0, settle=0.3, window=0.3)
    return seen.memory_during
