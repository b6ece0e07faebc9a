"""Bring ``.venv`` in step with ``uv.lock``: ``prepare.py run`` for the server, ``dev`` with the tools, too.

Runs on a bare Python 3.11 with its venv module. What was done is noted in a stamp inside ``.venv``, keyed on
the files that decide it, so that a second call takes no time. Packages are added, never taken away.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from typing import Literal, get_args

from steps import ROOT, StepFailed, give_up, one_at_a_time, run

Group = Literal["run", "dev"]

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "parlour-setup.json"
DECISIVE = ("pyproject.toml", "uv.lock", "hatch_build.py", "scripts/prepare.py")
UV = "uv>=0.13,<0.14"
NETWORK = (
    "Check that this machine reaches the Python package index. Behind a proxy, set HTTPS_PROXY; "
    "with a private certificate, set SSL_CERT_FILE. Then run make again: it goes on where it stopped."
)


def main() -> None:
    """Prepare, or with ``--check`` only say by the exit status whether there is anything to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", choices=get_args(Group))
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(0 if is_prepared(arguments.group) else 1)
    try:
        with one_at_a_time("prepare"):
            if not is_prepared(arguments.group):
                prepare(arguments.group)
    except StepFailed as error:
        give_up(error)


def is_prepared(group: Group) -> bool:
    """Whether the stamp says that ``.venv`` has what ``group`` needs."""
    stamp = read_stamp()
    wanted = digest()
    # What serves development serves a run, too.
    return PYTHON.exists() and wanted in (stamp.get(group), stamp.get("dev"))


def prepare(group: Group) -> None:
    """Make the environment if there is none that works here, and install what the lock names."""
    if not is_usable():
        run(
            f"Making .venv with Python {sys.version.split()[0]}",
            [sys.executable, "-m", "venv", "--clear", VENV],
            env=environment(),
            remedy="On Debian or Ubuntu: apt install python3-venv",
        )
    if not works("import uv"):
        command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV]
        run("Fetching the package installer uv", command, env=environment(), remedy=NETWORK)
    title = "Installing the packages" if group == "run" else "Installing the packages and the tools for tests"
    command = [str(PYTHON), "-m", "uv", "sync", "--frozen", "--inexact"]
    command += ["--no-dev"] if group == "run" else []
    run(title, command, env=environment(), remedy=NETWORK)
    STAMP.write_text(json.dumps(read_stamp() | {"checkout": str(ROOT), group: digest()}))


def is_usable() -> bool:
    """Whether ``.venv`` runs, is new enough, and was made for this folder: a moved one names old paths."""
    made_for = read_stamp().get("checkout", str(ROOT))
    return made_for == str(ROOT) and works("import pip, sys; assert sys.version_info >= (3, 11)")


def works(code: str) -> bool:
    """Whether the environment's Python runs ``code`` without complaint."""
    if not PYTHON.exists():
        return False
    return subprocess.run([PYTHON, "-c", code], capture_output=True, check=False).returncode == 0


def digest() -> str:
    """What the installation depends on, the folder's own place included: the scripts in ``.venv`` name it."""
    parts = [str(ROOT), *((ROOT / name).read_text() for name in DECISIVE)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read_stamp() -> dict[str, str]:
    """What earlier calls noted; nothing if there were none or the note cannot be read."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def environment() -> dict[str, str]:
    """Ours, made safe: this ``.venv`` and no other, nothing from elsewhere, patience with a slow network."""
    ours = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    ours.pop("PYTHONPATH", None)
    ours |= {
        "UV_PROJECT_ENVIRONMENT": str(VENV),
        "UV_PYTHON": str(PYTHON),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_COMPILE_BYTECODE": "1",  # without it the first start of the server takes three times as long
        "UV_HTTP_TIMEOUT": os.environ.get("UV_HTTP_TIMEOUT", "300"),
        "PARLOUR_SKIP_UI": "1",  # the page is a step of its own: scripts/page.py
    }
    return ours


if __name__ == "__main__":
    main()
