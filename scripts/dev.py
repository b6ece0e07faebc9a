"""Server and page for a developer: both start again, or repaint, when their sources change.

Open the address that vite prints: it serves the page from its sources and hands the rest to the server.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress

from page import environment, find_node, install_packages, node
from steps import ROOT, StepFailed, give_up, one_at_a_time

from parlour.settings import SettingsError, load

WAIT_SECONDS = 10  # for streams to end in peace when stopped


def main() -> None:
    """Run until one of the two ends or the terminal says stop; then end the other."""
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    processes = [start_server()]
    try:
        processes += start_page()
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)
    except StepFailed as error:
        give_up(error)
    except SettingsError as error:
        sys.exit(f"parlour: {error}")
    except KeyboardInterrupt:
        pass
    finally:
        stop(processes)


def start_server() -> "subprocess.Popen[bytes]":
    """Run ``parlour serve`` under a watcher of ``src``."""
    serve = shlex.join([sys.executable, "-m", "parlour", "serve"])
    watch = [sys.executable, "-m", "watchfiles", "--filter", "python", "--target-type", "command"]
    # In a session of its own: the terminal's Ctrl-C would reach the server twice, directly and passed on.
    return subprocess.Popen([*watch, serve, "src"], cwd=ROOT, start_new_session=True)


def start_page() -> "list[subprocess.Popen[bytes]]":
    """Run vite's development server, if there is a Node."""
    if find_node() is None:
        sys.stdout.write("No Node 20.19 or newer is installed, so only the server reloads, not the page.\n")
        return []
    with one_at_a_time("page"):
        install_packages(tools=True)
    ours = environment() | {"PARLOUR_SERVER": f"http://127.0.0.1:{load().server.port}"}
    vite = [*node().npm, "run", "--silent", "dev"]
    return [subprocess.Popen(vite, cwd=ROOT / "web", env=ours, start_new_session=True)]


def stop(processes: "list[subprocess.Popen[bytes]]") -> None:
    """End what still runs, and by force what has not ended after a while, or was left behind."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + WAIT_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
