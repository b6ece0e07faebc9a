"""Find a Redis for the tests and print its program's path; bring one where that is possible.

On Debian and Ubuntu, as root or with sudo that asks for no password, it comes from the system's packages,
and does not stay running: the tests run servers of their own. Elsewhere the command that would help is
printed, and the status says that there is none.
"""

import os
import shutil
import sys

from packages import administrator, install_package, stop_service
from steps import StepFailed, give_up

NAME = "redis-server"
REMEDY = """The tests of shared limits need Redis. One of these brings it:
    apt install redis-server     dnf install redis     brew install redis
or name the program of yours in PARLOUR_TEST_REDIS"""


def main() -> None:
    """Print the program's path as the last line."""
    try:
        program = find() or install()
    except StepFailed as error:
        give_up(error)
    sys.stdout.write(f"{program}\n")


def find() -> str | None:
    """The path of an installed Redis, or of the one that was named."""
    named = os.environ.get("PARLOUR_TEST_REDIS")
    if named and shutil.which(named) is None:
        raise StepFailed(f"PARLOUR_TEST_REDIS names {named}, which cannot be run.")
    return shutil.which(named or NAME)


def install() -> str:
    """Install Debian's or Ubuntu's own."""
    rights = administrator()
    if shutil.which("apt-get") is None or rights is None:
        raise StepFailed("No Redis was found.", remedy=REMEDY)
    install_package(NAME, title="Installing Redis for the tests", rights=rights, remedy=REMEDY)
    stop_service(NAME, rights=rights, remedy=REMEDY)
    installed = find()
    if installed is None:
        raise StepFailed("Redis was installed, but is not to be found.", remedy=REMEDY)
    return installed


if __name__ == "__main__":
    main()
