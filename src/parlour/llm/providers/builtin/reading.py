"""A passage read into its smallest quotable parts: sentences, list items, code blocks, tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from parlour.llm.markdown import blocks, fence_after, sentences

Kind = Literal["sentence", "item", "code", "table"]

_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+")
# A footnote such as [3] would be taken for a citation of ours.
_FOOTNOTE = re.compile(r"\s?\[\^?\d{1,3}\](?![(\[:])")
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|mailto:)[^)]*\)")


@dataclass(frozen=True, slots=True)
class Unit:
    """A part that is quoted whole or not at all. Units of one ``block`` stood in one paragraph or list."""

    text: str
    kind: Kind
    block: int

    @property
    def announces(self) -> bool:
        """Tell whether it makes no sense without what comes next: "Type this:"."""
        return self.kind == "sentence" and self.text.rstrip("*_ ").endswith(":")


def read(text: str) -> list[Unit]:
    """Return the units of a passage in order."""
    units: list[Unit] = []
    for number, (kind, part) in enumerate(_parts(text)):
        if kind == "text":
            units += [Unit(quotable(sentence), "sentence", number) for sentence in sentences(part)]
        elif kind == "item":
            units += [Unit(quotable(item), "item", number) for item in _items(part)]
        else:
            units.append(Unit(part, kind, number))
    return [unit for unit in units if unit.text.strip()]


def quotable(text: str) -> str:
    """Take out what has no meaning outside its document: footnotes, pictures, links to neighbouring files."""
    return _LINK.sub(r"\1", _IMAGE.sub(r"\1", _FOOTNOTE.sub("", text)))


def is_item(line: str) -> bool:
    """Tell whether a line begins a list item."""
    return bool(_ITEM.match(line))


def _parts(text: str) -> Iterator[tuple[Literal["text", "item", "code", "table"], str]]:
    for block in blocks(text):
        marked = _kinds(block.split("\n"))
        for kind, lines in groupby(marked, key=lambda entry: entry[0]):
            joined = [line for _, line in lines]
            if kind == "text":
                yield "text", " ".join(line.lstrip("> \t").strip() for line in joined)
            else:
                yield kind, "\n".join(joined)


def _kinds(lines: list[str]) -> Iterator[tuple[Literal["text", "item", "code", "table"], str]]:
    """Tell of each line of a block what it belongs to."""
    fence = ""
    kind: Literal["text", "item", "code", "table"] = "text"
    for line in lines:
        after = fence_after(line, fence)
        if fence or after:
            # Code inside a list item stays with its item.
            kind = "item" if kind == "item" and line.startswith((" ", "\t")) else "code"
            yield kind, line
            kind = "text" if kind == "code" and not after else kind
        else:
            kind = _kind(line, kind)
            yield kind, line
        fence = after


def _kind(line: str, before: str) -> Literal["text", "item", "table"]:
    if _ITEM.match(line):
        return "item"
    if line.lstrip().startswith("|"):
        return "table"
    # A line without a mark goes on with the item above it.
    return "item" if before == "item" else "text"


def _items(part: str) -> Iterator[str]:
    """Cut a list before each item of its outermost level; deeper ones stay with theirs."""
    item: list[str] = []
    depth: int | None = None
    for line in part.split("\n"):
        indent = len(line) - len(line.lstrip())
        if _ITEM.match(line) and (depth is None or indent <= depth):
            if item:
                yield "\n".join(item)
            item, depth = [], indent
        item.append(line)
    if item:
        yield "\n".join(item)
