"""Documents stay true: links lead somewhere, names exist, and whatever people can meet is written down."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic import BaseModel

import parlour.entrypoints.http.problems  # noqa: F401 (the door has errors of its own)
from parlour.settings import Settings
from parlour.vocabulary.errors import ParlourError
from tests.architecture.sources import PACKAGE, ROOT, files, named, parsed

PAGES = [
    path for path in files() if path.suffix == ".md" and not named(path).startswith(("tests/", "benchmarks/"))
]
ONE_MESSAGE = ROOT / "docs" / "architecture" / "one-message.md"
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)\s]*)?\)")
FILE_NAME = re.compile(r"`((?:[\w-]+/)*[\w.-]+\.py)(?:::(\w+(?:\.\w+)*))?`")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_between_documents_leads_somewhere(page: Path) -> None:
    # Guides may name what a release does not carry, so they link to each other only.
    dead = [
        target for target in LINK.findall(page.read_text()) if not (page.parent / unquote(target)).exists()
    ]
    assert not dead


def test_the_way_of_one_message_names_what_exists() -> None:
    named_there = FILE_NAME.findall(ONE_MESSAGE.read_text())
    assert len(named_there) >= 10
    assert not [f"{file}::{name}" for file, name in named_there if not exists(file, name)]


def exists(file: str, name: str) -> bool:
    """Whether the package has this file, and in it this function, class, method or constant."""
    path = PACKAGE / file
    return path.is_file() and (not name or name in defined(parsed(path)))


def defined(tree: ast.Module | ast.ClassDef, within: str = "") -> Iterator[str]:
    """The names that a module defines; methods as ``Class.method``."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield within + node.name
        elif isinstance(node, ast.ClassDef):
            yield within + node.name
            yield from defined(node, f"{within}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_every_error_code_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    # Errors inside a room never leave it: people meet those of the vocabulary and of the doors.
    met = ("parlour.vocabulary.", "parlour.entrypoints.")
    ours = (error for error in family(ParlourError) if error.__module__.startswith(met))
    codes = {error.code for error in ours}
    assert not sorted(code for code in codes if f"`{code}`" not in page)


def family(error: type[ParlourError]) -> Iterator[type[ParlourError]]:
    """The class and everything that descends from it."""
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    names = list(environment_names(Settings))
    assert "PARLOUR_PORT" in names
    assert not [name for name in names if f"`{name}`" not in page]


def environment_names(model: type[BaseModel]) -> Iterator[str]:
    """The environment's names for a model's settings, those of its sections included."""
    for field in model.model_fields.values():
        if isinstance(field.json_schema_extra, dict):
            yield str(field.json_schema_extra["env"])
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from environment_names(field.annotation)


def test_make_help_lists_every_target() -> None:
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets == re.findall(r"^  make (\S+) +\S", told, re.MULTILINE)


def test_every_room_and_floor_is_on_the_map() -> None:
    overview = (ROOT / "docs" / "architecture" / "overview.md").read_text()
    folders = [path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    rooms = [path for path in (PACKAGE / "features").iterdir() if (path / "__init__.py").is_file()]
    assert not [folder.name for folder in (*folders, *rooms) if f"{folder.name}/" not in overview]


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()
    records = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert records
    assert not [record.name for record in records if f"({record.name})" not in listed]
