"""Measure Parlour against a bare relay, both on this machine and in the same minutes.

    python -m benchmarks            full form, under nine minutes
    python -m benchmarks --quick    under 90 seconds, coarser

What each figure means stands in benchmarks/README.md.
"""

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import footprint, report, storing, streaming
from benchmarks.bench import Bench, BrokenMeasure, open_bench
from benchmarks.figures import Figure
from benchmarks.processes import ROOT

MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "first-word": streaming.first_word,
    "ten-readers": streaming.ten_readers,
    "hundred-streams": streaming.hundred_streams,
    "fixed-cost": streaming.fixed_cost,
    "long-answers": streaming.long_answers,
    "open-streams": streaming.open_streams,
    "memory": streaming.memory_of_streams,
    "turns": storing.turns,
    "long-conversation": storing.long_conversation,
    "start": footprint.start_and_idle,
    "size": footprint.installed_size,
}


def main() -> int:
    """Measure what was asked for, show it, write it down; 0 when every target is met."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the contenders are ended on the way out
    figures: list[Figure] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="parlour-bench-", dir=options.folder) as name:
        folder = Path(name)
        about = report.machine(folder)
        with open_bench(folder, quick=options.quick) as bench:
            for wanted in options.only or MEASURES:
                began = time.monotonic()
                print(f"measuring {wanted} …", end=" ", file=sys.stderr, flush=True)
                try:
                    figures += MEASURES[wanted](bench)
                except BrokenMeasure as broken:
                    failures.append(f"{wanted}: {broken}")
                print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    report.show(figures, failures)
    if not options.dry:
        path = report.write(figures, failures, about, name=options.name, command=report.command_line())
        print(f"\nwritten to {path.relative_to(ROOT)} and benchmarks/results/latest.md")
    return 1 if failures or any(each.met is False for each in figures) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Parlour.")
    parser.add_argument("--quick", action="store_true", help="under 90 seconds, coarser")
    parser.add_argument("--only", nargs="+", choices=MEASURES, help="measure only these")
    parser.add_argument("--name", default="parlour", type=_plain, help="name of the results' file")
    parser.add_argument("--dry", action="store_true", help="write no results")
    parser.add_argument("--folder", type=Path, help="where the databases lie meanwhile; else the system's")
    return parser.parse_args()


def _plain(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise argparse.ArgumentTypeError("small letters, digits and dashes only")
    return name


if __name__ == "__main__":
    sys.exit(main())
