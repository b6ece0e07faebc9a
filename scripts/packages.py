"""How the scripts behind ``make`` install a package of Debian's or Ubuntu's, where they may."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from steps import run


def administrator() -> Sequence[str] | None:
    """What to put before a command to run it as root; None where we may not."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def install_package(name: str, *, title: str, rights: Sequence[str], remedy: str) -> None:
    """Install a package."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Another process may be installing something right now: wait for it.
    apt = [*rights, "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    run("Reading the system's list of packages", [*apt, "update"], env=quiet, remedy=remedy)
    run(title, [*apt, "install", "-y", "--no-install-recommends", name], env=quiet, remedy=remedy)


def stop_service(name: str, *, rights: Sequence[str], remedy: str) -> None:
    """Stop a service that a package has started for the whole machine, now and at every start of it."""
    if Path("/run/systemd/system").is_dir():
        command = [*rights, "systemctl", "disable", "--now", name]
        run(f"Stopping the {name} that came up by itself", command, env=os.environ, remedy=remedy)
