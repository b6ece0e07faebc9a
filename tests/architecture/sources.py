"""The files of this repository, as the tests of its shape read them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "parlour"
PYTHON_FOLDERS = ("src", "tests", "benchmarks", "scripts")


@cache
def files() -> tuple[Path, ...]:
    """Every file that git knows or would take in: what is built or installed is not among them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for name in sorted(set(listed.split("\0"))) if name and (path := ROOT / name).is_file())


def below(*folders: str, suffixes: tuple[str, ...] = (".py",)) -> Iterator[Path]:
    """The files in these folders of the repository with one of these endings."""
    roots = tuple(ROOT / folder for folder in folders)
    return (
        path for path in files() if path.suffix in suffixes and any(path.is_relative_to(r) for r in roots)
    )


def named(path: Path) -> str:
    """A path as people write it: from the repository's root."""
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(), str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and inner ones included."""
    return (
        node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def is_test_code(path: Path) -> bool:
    """Whether the file belongs to the tests, ours or the page's."""
    return named(path).startswith(("tests/", "web/tests/")) or ".test." in path.name
