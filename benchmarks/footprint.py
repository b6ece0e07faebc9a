"""Figures of the program itself: start, idle memory, installed size."""

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.bench import RELAY, SQLITE, Bench
from benchmarks.figures import Figure, figure
from benchmarks.processes import Server, resident_bytes, start_parlour, start_relay

MEGABYTE = 1_000_000


def start_and_idle(bench: Bench) -> list[Figure]:
    """Seconds from the command to the first healthy answer, and memory then, on a data folder that exists."""
    seconds: dict[str, list[float]] = {RELAY: [], SQLITE: []}
    memory: dict[str, list[float]] = {RELAY: [], SQLITE: []}
    folder = bench.folder / "start"
    start_parlour(folder, bench.upstream).stop()  # makes tables and secrets, which happens once
    for _ in range(bench.rounds):
        for side in seconds:
            server = _start(bench, side)
            seconds[side].append(server.seconds_to_healthy)
            memory[side].append(resident_bytes(server.pid) / MEGABYTE)
            server.stop()
    return [
        figure("Start to healthy", "s", seconds[SQLITE], target=1.5, sides={RELAY: seconds[RELAY]}),
        figure("Idle memory", "MB", memory[SQLITE], target=120, sides={RELAY: memory[RELAY]}),
    ]


def _start(bench: Bench, side: str) -> Server:
    folder = bench.folder / "start"
    return start_relay(folder, bench.upstream) if side == RELAY else start_parlour(folder, bench.upstream)


def installed_size(_bench: Bench) -> list[Figure]:
    """Megabytes of Parlour and all it needs to run, without what only development needs."""
    found = _closure("parlour")
    size = sum(_size(each) for each in found.values()) / MEGABYTE
    return [
        figure("Installed size, without development", "MB", [size], sides={"distributions": [len(found)]})
    ]


def _closure(name: str) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    waiting = [Requirement(name)]
    while waiting:
        requirement = waiting.pop()
        key = f"{requirement.name.lower().replace('_', '-')}[{','.join(sorted(requirement.extras))}]"
        if key in found:
            continue
        try:
            found[key] = distribution(requirement.name)
        except PackageNotFoundError:
            continue  # for another system
        for line in found[key].requires or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return {each.metadata["Name"]: each for each in found.values()}


def _size(found: Distribution) -> int:
    paths = (Path(str(found.locate_file(file))) for file in found.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())
