"""Results: on the console, as JSON for machines, as Markdown for people."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.processes import ROOT

RESULTS = ROOT / "benchmarks" / "results"
HEADINGS = ["Figure", "Measured", "Spread", "Target", "", "Behind it"]
PARTS = ("parlour", "fastapi", "uvicorn", "uvloop", "httptools", "aiohttp", "orjson", "sqlalchemy", "asyncpg")


def machine(folder: Path) -> dict[str, Any]:
    """Return what the figures depend on. ``folder`` is where the databases lie."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_at_start": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "file_system": _file_system(folder),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PARTS},
        "commit": _commit(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _file_system(folder: Path) -> str:
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return "unknown"
    mounts = {Path(parts[1]): parts[2] for parts in map(str.split, lines)}
    return next((mounts[parent] for parent in folder.resolve().parents if parent in mounts), "unknown")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def show(figures: list[Figure], failures: list[str]) -> None:
    """Print the table, and what could not be measured."""
    rows = [HEADINGS, *(each.cells() for each in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for failure in failures:
        print(f"FAILED {failure}")


def write(
    figures: list[Figure],
    failures: list[str],
    about: dict[str, Any],
    *,
    name: str,
    command: list[str],
    page: str = "latest.md",
) -> Path:
    """Write JSON under the date and ``name``, and the same as ``page``; return the JSON's path."""
    RESULTS.mkdir(exist_ok=True)
    today = datetime.now(UTC)
    path = RESULTS / f"{today:%Y-%m-%d}-{name}.json"
    document = {
        "date": f"{today:%Y-%m-%dT%H:%M:%SZ}",
        "command": " ".join(command),
        "machine": about,
        "figures": [each.as_json() for each in figures],
        "failures": failures,
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    (RESULTS / page).write_text(_markdown(document, figures))
    return path


def _markdown(document: dict[str, Any], figures: list[Figure]) -> str:
    about = document["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    lines = [
        "# Benchmark",
        "",
        f"{document['date']}, `{document['command']}`, commit {about['commit']}. "
        "What each figure means stands in [the benchmark's README](../README.md).",
        "",
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}, databases on "
        f"{about['file_system']}, load {about['load_at_start']} before the start. "
        f"Python {about['python']}; {versions}.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{' --- |' * len(HEADINGS)}",
    ]
    lines += [f"| {' | '.join(each.cells())} |" for each in figures]
    lines += ["", *(f"Failed: {failure}" for failure in document["failures"])]
    return "\n".join(lines).rstrip() + "\n"


def command_line() -> list[str]:
    """Return how this run was called."""
    return ["python", "-m", "benchmarks", *sys.argv[1:]]
