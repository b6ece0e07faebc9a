"""How the scripts behind ``make`` talk: one line per step, what went wrong in full, and what to do about it.

Runs on a bare Python 3.11, before anything is installed.
"""

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
TAIL_LINES = 25  # of a failed command's output: enough to hold the cause, short enough to be read


class StepFailed(Exception):
    """A step could not be done. ``str(error)`` tells people what happened; ``remedy`` what they can do."""

    def __init__(self, sentence: str, *, remedy: str = "", output: str = "") -> None:
        """Keep the sentence, the way out, and the failed command's own words."""
        super().__init__(sentence)
        self.remedy = remedy
        self.output = output

    def told(self) -> str:
        """Everything to print: the command's last words, the sentence, the remedy."""
        tail = "\n".join(self.output.strip().splitlines()[-TAIL_LINES:])
        return "\n".join(part for part in (tail, str(self), self.remedy) if part)


def run(
    title: str, command: Sequence[str | Path], *, cwd: Path = ROOT, env: Mapping[str, str], remedy: str = ""
) -> None:
    """Do one step in silence, with its title and its seconds on one line."""
    started = time.monotonic()
    sys.stdout.write(f"{title} … ")
    sys.stdout.flush()
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        sys.stdout.write("failed\n")
        raise StepFailed(f"{command[0]} could not be started: {error}.", remedy=remedy) from error
    if done.returncode:
        sys.stdout.write("failed\n")
        raise StepFailed(f"Failed: {title}.", remedy=remedy, output=done.stdout)
    sys.stdout.write(f"{time.monotonic() - started:.1f} s\n")
    sys.stdout.flush()


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Hold the checkout's lock ``name``, so that two makes in one folder do not trip over each other."""
    lock = ROOT / ".cache" / f"{name}.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stdout.write("Waiting for another make in this folder.\n")
            sys.stdout.flush()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def give_up(error: StepFailed) -> NoReturn:
    """Tell what went wrong and end with a failure."""
    sys.stdout.flush()
    sys.exit(f"\n{error.told()}")
