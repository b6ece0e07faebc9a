"""Measure Parlour and the bare relay beside LiteLLM's proxy, over the same fake provider in the same minutes.

    python -m benchmarks.peers            about three minutes, more when LiteLLM is to be installed first

LiteLLM is no dependency of this project. It is installed when first measured, into a virtual environment of
its own under ``.cache``, from the index that pip is set up for. Its proxy runs as its documentation says for
one server: one worker, a master key, no database. So it stores nothing, while Parlour keeps every message.
"""

import argparse
import secrets
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report
from benchmarks.bench import RELAY, SQLITE, BrokenMeasure, ask
from benchmarks.figures import Figure, figure, percentile
from benchmarks.processes import (
    ROOT,
    Server,
    base_url,
    free_port,
    resident_bytes,
    start_parlour,
    start_relay,
    start_upstream,
)

LITELLM = "LiteLLM proxy"
VERSION = "1.106.2"
# Without mcp the proxy cannot call tools: its base install does not bring it.
PACKAGES = (f"litellm[proxy]=={VERSION}", "mcp")
PATIENCE_SECONDS = 180.0  # it imports for ten seconds on an idle machine
MEGABYTE = 1_000_000

_CONFIGURATION = """\
model_list:
  - model_name: bench
    litellm_params: {{model: openai/bench, api_base: "{upstream}", api_key: sk-of-the-benchmark}}
litellm_settings: {{telemetry: false, num_retries: 0}}
"""


def main() -> int:
    """Install what is missing, measure, show it and write it down."""
    options = _options()
    program = installed()
    sides: dict[str, Server] = {}
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="parlour-peers-") as name:
        folder = Path(name)

        def started(server: Server) -> Server:
            stack.callback(server.stop)
            return server

        about = report.machine(folder)
        about["versions"] = {**about["versions"], "litellm": VERSION}
        upstream = started(start_upstream(folder / "upstream"))
        sides[RELAY] = started(start_relay(folder / "relay", upstream))
        sides[SQLITE] = started(start_parlour(folder / "parlour", upstream))
        sides[LITELLM] = started(start_litellm(program, folder / "litellm", upstream))
        idle = {side: [resident_bytes(server.pid) / MEGABYTE] for side, server in sides.items()}
        start = {side: [server.seconds_to_healthy] for side, server in sides.items()}
        figures, failures = measure(upstream, sides, rounds=options.rounds)
    for side in sides:
        figures.append(figure(f"Start to healthy ({side})", "s", start[side]))
        figures.append(figure(f"Idle memory ({side})", "MB", idle[side]))
    report.show(figures, failures)
    if not options.dry:
        command = ["python", "-m", "benchmarks.peers", *sys.argv[1:]]
        path = report.write(figures, failures, about, name="peers", command=command, page="peers.md")
        print(f"\nwritten to {path.relative_to(ROOT)} and benchmarks/results/peers.md")
    return 1 if failures else 0


def installed() -> Path:
    """Return LiteLLM's program, installed now if it is not there yet."""
    home = ROOT / ".cache" / "peers" / f"litellm-{VERSION}"
    program = home / "bin" / "litellm"
    if not program.exists():
        print(f"installing {' and '.join(PACKAGES)} into {home.relative_to(ROOT)} …", file=sys.stderr)
        venv.create(home, clear=True, with_pip=True)
        subprocess.run([home / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return program


def start_litellm(program: Path, folder: Path, upstream: Server) -> Server:
    """Start LiteLLM's proxy with the fake provider as its only model."""
    port, key = free_port(), f"sk-{secrets.token_hex(32)}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(_CONFIGURATION.format(upstream=base_url(upstream)))
    return Server(
        "litellm",
        [str(program), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)],
        port=port,
        health="/health/liveliness",
        folder=folder,
        environment={
            "LITELLM_MASTER_KEY": key,
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the internet for prices
        },
        key=key,
        patience=PATIENCE_SECONDS,
    )


def measure(upstream: Server, sides: dict[str, Server], *, rounds: int) -> tuple[list[Figure], list[str]]:
    """Return what each of ``sides`` cost, all of them in turns."""
    servers = {"upstream": upstream, **sides}
    first: dict[str, list[float]] = {side: [] for side in servers}
    token: dict[str, list[float]] = {side: [] for side in sides}
    fixed: dict[str, list[float]] = {side: [] for side in sides}
    for server in sides.values():
        ask(
            server, readers=2, answers=5, tokens=2, rate=1000
        )  # what the first answers load is no matter here
    failures = []
    for _ in range(rounds):
        try:
            for side, server in servers.items():
                seen = ask(server, readers=1, answers=30, tokens=2, rate=1000)
                first[side].append(percentile(seen.first, 0.5))
            for side, server in sides.items():
                seen = ask(server, readers=10, answers=1, tokens=200, rate=100)
                token[side].append(seen.cpu / seen.tokens * 1e6)
            for side, server in sides.items():
                seen = ask(server, readers=10, answers=10, tokens=1, rate=100)
                fixed[side].append(seen.cpu / seen.answers * 1000)
        except BrokenMeasure as broken:
            failures.append(str(broken))
    added = {
        side: [mine - least for mine, least in zip(first[side], first["upstream"], strict=False)]
        for side in sides
    }
    kinds = {
        "Added time to the first word, p50": ("ms", added),
        "CPU per token, 10 readers at 100 tokens/s": ("µs", token),
        "Fixed CPU of an answer": ("ms", fixed),
    }
    figures = [
        figure(f"{name} ({side})", unit, values[side])
        for name, (unit, values) in kinds.items()
        for side in sides
        if values[side]
    ]
    return figures, failures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure beside peers.")
    parser.add_argument("--rounds", type=int, default=3, help="how often the contenders take turns")
    parser.add_argument("--dry", action="store_true", help="write no results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
