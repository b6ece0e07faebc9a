"""Find a Chromium for the browser tests and print its path; bring one where that is possible.

On Debian and Ubuntu, as root or with sudo that asks for no password, it comes from the system's packages.
Elsewhere the command that would help is printed, and the status says that there is none.
"""

import os
import shutil
import sys

from packages import administrator, install_package
from steps import StepFailed, give_up

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
    install_package(
        "chromium", title="Installing Chromium for the browser tests", rights=rights, remedy=REMEDY
    )
    installed = find()
    if installed is None:
        raise StepFailed("Chromium was installed, but is not to be found.", remedy=REMEDY)
    return installed


if __name__ == "__main__":
    main()
