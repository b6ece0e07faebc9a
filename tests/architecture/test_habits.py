"""Habits that a linter does not know: reasons beside broad excepts, no traces of a machine."""

import ast
import re
from pathlib import Path

from tests.architecture.sources import ROOT, below, files, named, parsed

BROAD = {"Exception", "BaseException"}
BINARY = {".png", ".ico", ".woff2", ".jpg", ".webp", ".gz", ".br"}
# Paths that only one machine has. Written in two parts, so that this file does not find itself.
MACHINE_PATH = re.compile("(?<![\\w.~}\"'/-])/(?:" + "root|home/[a-z]|Users/[A-Za-z]|work" + ")/[a-z]")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
DOCUMENT = re.compile(r"(?<![\w/])[A-Z]{4,}\.md\b")
LOCKS = {"uv.lock", "web/package-lock.json"}


def texts() -> list[tuple[Path, str]]:
    kept = (path for path in files() if path.suffix not in BINARY and named(path) not in LOCKS)
    return [(path, path.read_text(errors="replace")) for path in kept]


def test_a_broad_except_has_its_reason_beside_it() -> None:
    bare = []
    for path in below("src", "scripts", "benchmarks"):
        lines = path.read_text().splitlines()
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ExceptHandler) and is_broad(node) and not reason(lines, node.lineno):
                bare.append(f"{named(path)}:{node.lineno}")
    assert not bare


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything, and does more than tidy up and pass the error on."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in BROAD for node in ast.walk(handler.type))


def reason(lines: list[str], line: int) -> bool:
    """Whether this line or one of the two after it has a comment in words, beyond a code for the linter."""
    comments = " ".join(text.partition("#")[2] for text in lines[line - 1 : line + 2])
    return bool(re.search(r"\w{3}", re.sub(r"noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?", "", comments)))


def test_nothing_names_the_machine_it_was_written_on() -> None:
    found = {(named(path), match[0]) for path, text in texts() for match in MACHINE_PATH.finditer(text)}
    assert not found


def test_nothing_is_marked_as_unfinished() -> None:
    assert not [named(path) for path, text in texts() if UNFINISHED.search(text)]


def test_every_document_that_is_named_is_here() -> None:
    found = {(named(path), match[0]) for path, text in texts() for match in DOCUMENT.finditer(text)}
    assert not [(path, document) for path, document in found if not (ROOT / document).is_file()]
