"""What imports whom, and what an import does: nothing."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, ROOT, below, functions, named, parsed

# module::function → what many an installation does without, and is imported only where it is used
OPTIONAL_EXTRAS: dict[str, str] = {
    "src/parlour/llm/counting.py::_tokenizer": "exact-tokens: 66 MB for exact counts of OpenAI's tokens",
    "src/parlour/infra/storage/opening.py::_postgres": "PostgreSQL: 11 MB and 100 ms that SQLite saves",
    "src/parlour/llm/cost.py::_table": "prices: 28 MB and 170 ms that only providers of the table need",
    "src/parlour/wiring/limits.py::_counting_in_redis": "redis: 22 MB that only servers with Redis need",
}

# Importing must not open a connection, start a process, write a file or start a thread.
IMPORT_EVERYTHING = """
import importlib, os, pkgutil, sys, threading

def forbid(event, arguments):
    writing = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writing or event in (
        "socket.connect", "socket.bind", "socket.getaddrinfo", "sqlite3.connect",
        "subprocess.Popen", "os.posix_spawn", "os.fork", "os.mkdir", "os.remove", "os.rename", "os.chmod",
    ):
        raise AssertionError(f"an import does {event} {arguments}")

sys.addaudithook(forbid)
import parlour
for module in pkgutil.walk_packages(parlour.__path__, "parlour."):
    if ".migrations." not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert threading.active_count() == 1, threading.enumerate()
"""

# What each contract of .importlinter must catch: a file, and a line that breaks the rule there.
VIOLATIONS = {
    "floors": ("vocabulary/usage.py", "import parlour.infra.storage"),
    "rooms": ("features/people/tables.py", "import parlour.features.chat"),
    "inside-a-room": ("features/chat/tables.py", "import parlour.features.chat.routes"),
    "providers": ("llm/providers/openai_compatible.py", "import parlour.llm.providers.builtin"),
    "no-cycles": ("infra/storage/database.py", "import parlour.infra.storage.sqlite"),
    "settings": ("features/chat/service.py", "import parlour.settings"),
    "web-framework": ("features/chat/service.py", "import fastapi"),
    "sql": ("features/chat/service.py", "import sqlalchemy"),
    "http-client": ("features/chat/service.py", "import aiohttp"),
    "llm": ("llm/model.py", "import starlette"),
}


def test_no_module_is_imported_inside_a_function() -> None:
    hidden = [
        name
        for path in below("src")
        for function in functions(path)
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))
        and (name := f"{named(path)}::{function.name}") not in OPTIONAL_EXTRAS
    ]
    assert not hidden


def test_importing_parlour_does_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_EVERYTHING], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_stores_and_tables_are_private_to_their_room() -> None:
    """Only the room itself, and ``wiring``, which puts it together, may know them."""
    private = re.compile(r"parlour\.features\.(\w+)\.(store|tables)")
    imports = ((path, imported) for path in below("src") for imported in imported_names(path))
    intruders = [
        f"{named(path)} imports {imported}"
        for path, imported in imports
        if (match := private.match(imported))
        and PACKAGE / "wiring" not in path.parents
        and PACKAGE / "features" / match[1] not in path.parents
    ]
    assert not intruders


def test_the_environment_is_read_by_settings_only() -> None:
    readers = {
        named(path)
        for path in below("src")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
    }
    assert {path for path in readers if not path.startswith("src/parlour/settings")} == set()


def test_every_contract_is_known_to_catch_something() -> None:
    contracts = re.findall(
        r"^\[importlinter:contract:(.+)\]$", (ROOT / ".importlinter").read_text(), re.MULTILINE
    )
    assert set(contracts) == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_contract_catches_its_violation(contract: str, tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "parlour", ignore=shutil.ignore_patterns("static", "__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    where, line = VIOLATIONS[contract]
    victim = tmp_path / "parlour" / where
    victim.write_text(f"{victim.read_text()}\n{line}\n")
    code = (
        "import sys, importlinter.cli as cli; sys.exit(cli.lint_imports(limit_to_contracts=(sys.argv[1],)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, contract],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout, done.stdout + done.stderr


def imported_names(path: Path) -> set[str]:
    """Every module that a file imports, and every name it takes from one, in full."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names
