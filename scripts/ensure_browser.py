"""Find a Chromium for the browser tests and print its path; bring one where that is possible.

On Debian and Ubuntu, as root or with sudo that asks for no password, it comes from the system's packages.
Elsewhere the command that would help is printed, and the status says that there is none.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from steps import StepFailed, give_up, run

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
REMEDY = """The browser tests need Chromium. One of these brings it:
    apt install chromium     dnf install chromium     brew install --cask chromium
or name yours in PARLOUR_TEST_CHROMIUM, or leave these tests out: PARLOUR_TEST_BROWSER=0 make test"""


def main() -> None:
    """Print the browser's path as the last line."""
    try:
        browser = find() or install()
    except StepFailed as error:
        give_up(error)
    sys.stdout.write(f"{browser}\n")


def find() -> str | None:
    """The path of an installed browser; the one that was named goes first."""
    named = os.environ.get("PARLOUR_TEST_CHROMIUM")
    if named and shutil.which(named) is None:
        raise StepFailed(f"PARLOUR_TEST_CHROMIUM names {named}, which cannot be run.")
    return next(filter(None, map(shutil.which, (named, *NAMES) if named else NAMES)), None)


def install() -> str:
    """Install Debian's or Ubuntu's own."""
    rights = administrator()
    if shutil.which("apt-get") is None or rights is None:
        raise StepFailed("No Chromium was found.", remedy=REMEDY)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Another process may be installing something right now: wait for it.
    apt = [*rights, "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    run("Reading the system's list of packages", [*apt, "update"], env=quiet, remedy=REMEDY)
    command = [*apt, "install", "-y", "--no-install-recommends", "chromium"]
    run("Installing Chromium for the browser tests", command, env=quiet, remedy=REMEDY)
    installed = find()
    if installed is None:
        raise StepFailed("Chromium was installed, but is not to be found.", remedy=REMEDY)
    return installed


def administrator() -> Sequence[str] | None:
    """What to put before a command to run it as root; None where we may not."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


if __name__ == "__main__":
    main()
