"""Texts in which somebody marked what must be masked, and how well that is found."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from parlour.features.moderation.masking.personal import find

MARK = re.compile(r"«([\w-]+):(.*?)»")

Found = tuple[int, int, str]


@dataclass(frozen=True)
class Labelled:
    """A text without its marks, and where they were."""

    text: str
    marks: frozenset[Found]


def labelled(name: str) -> Iterator[Labelled]:
    """Read a file of marked texts."""
    for line in (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield _read(line)


def _read(line: str) -> Labelled:
    text, marks, done = "", set(), 0
    for match in MARK.finditer(line):
        text += line[done : match.start()]
        marks.add((len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        done = match.end()
    return Labelled(text + line[done:], frozenset(marks))


@dataclass
class Quality:
    """How well marks are found: a value counts only with its exact beginning, end and kind."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    mistakes: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """The share of what was found that was marked."""
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> float:
        """The share of what was marked that was found."""
        return self.right / (self.right + self.missed)


def quality(texts: list[Labelled]) -> Quality:
    """Look for personal data in every text."""
    counted = Quality()
    for each in texts:
        found = {(start, end, kind.value) for start, end, kind in find(each.text)}
        counted.right += len(found & each.marks)
        counted.wrong += len(found - each.marks)
        counted.missed += len(each.marks - found)
        if found != each.marks:
            counted.mistakes.append(each.text)
    return counted
