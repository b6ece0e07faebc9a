"""Nothing grows beyond what one reads in one sitting. An exception needs a reason, here, for all to see."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.sources import PYTHON_FOLDERS, below, functions, is_test_code, named

PYTHON_LINES = 400
TEST_LINES = 800
FRONT_END_LINES = 250
FUNCTION_LINES = 60
FOLDER_FILES = 12
FRAME = {"__init__.py", "__main__.py", "conftest.py"}  # not counted: every folder has them alike

# path, or path::function, or folder → why it may be longer
EXCEPTIONS = {
    "src/parlour/infra/storage/migrations/versions/0001_first_words.py::_conversations": (
        "tables as they were on that day: a list, read once from top to bottom"
    ),
}

PYTHON = sorted(below(*PYTHON_FOLDERS))
FRONT_END = sorted(below("web", suffixes=(".ts", ".tsx", ".css")))


def limit(path: Path) -> int:
    if is_test_code(path):
        return TEST_LINES
    return PYTHON_LINES if path.suffix == ".py" else FRONT_END_LINES


def too_long() -> list[str]:
    lengths = {path: len(path.read_text().splitlines()) for path in (*PYTHON, *FRONT_END)}
    return [f"{named(path)}: {lines} lines" for path, lines in lengths.items() if lines > limit(path)]


def too_long_functions() -> list[str]:
    found = ((path, function) for path in PYTHON for function in functions(path))
    return [
        f"{named(path)}::{function.name}: {lines} lines"
        for path, function in found
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    ]


def too_full() -> list[str]:
    counted = Counter(path.parent for path in (*PYTHON, *FRONT_END) if path.name not in FRAME)
    # Migrations pile up by nature, one small file each.
    return [
        f"{named(folder)}: {count} files"
        for folder, count in counted.items()
        if count > FOLDER_FILES and folder.name != "versions"
    ]


@pytest.mark.parametrize(
    "measure", [too_long, too_long_functions, too_full], ids=lambda measure: measure.__name__
)
def test_files_functions_and_folders_stay_small(measure: Callable[[], list[str]]) -> None:
    offenders = [line for line in measure() if line.split(": ")[0] not in EXCEPTIONS]
    assert not offenders, "\n".join(["", *offenders])


def test_no_exception_outlives_its_reason() -> None:
    needed = {line.split(": ")[0] for line in (*too_long(), *too_long_functions(), *too_full())}
    assert set(EXCEPTIONS) <= needed
