"""How a pattern is written: from its text to a tree."""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

Test = Callable[[str], bool]

_MOST_REPEATS: Final = 100
_DEEPEST: Final = 30


class PatternError(ValueError):
    """A pattern that cannot be read; the message says what is wrong with it."""


def is_word(character: str) -> bool:
    """Tell whether a character is part of a word."""
    return character.isalnum() or character == "_"


class Node(NamedTuple):
    """A piece: ``one`` character, ``around``, ``all`` in a row, ``any`` of several, ``repeat``."""

    kind: str
    parts: "tuple[Node, ...]" = ()
    test: Test | None = None
    around: str = ""
    least: int = 1
    most: int | None = 1


_CLASSES: Final[dict[str, Test]] = {
    "d": str.isdecimal,
    "w": lambda character: is_word(character),
    "s": str.isspace,
    "D": lambda character: not character.isdecimal(),
    "W": lambda character: not is_word(character),
    "S": lambda character: not character.isspace(),
}
_WRITTEN: Final = {"n": "\n", "t": "\t", "r": "\r"}
_REPEATS: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def _same(wanted: str) -> Test:
    forms = frozenset({wanted, wanted.lower(), wanted.upper(), wanted.casefold()})
    return lambda character: character in forms or character.lower() in forms


def _between(first: str, last: str) -> Test:
    return lambda character: any(
        first <= form <= last for form in (character, character.lower(), character.upper())
    )


class Reader:
    """Reads one pattern."""

    def __init__(self, pattern: str) -> None:
        """Take the text of a pattern."""
        self._depth = 0
        self._characters: Iterator[str] = iter(pattern)
        self._next = next(self._characters, "")

    def read(self) -> Node:
        """Return the pattern as a tree. Raises PatternError."""
        node = self._either()
        if self._next:
            raise PatternError(f"a {self._next!r} has nothing before it that it closes")
        return node

    def _take(self) -> str:
        taken, self._next = self._next, next(self._characters, "")
        return taken

    def _either(self) -> Node:
        branches = [self._row()]
        while self._next == "|":
            self._take()
            branches.append(self._row())
        return branches[0] if len(branches) == 1 else Node("any", tuple(branches))

    def _row(self) -> Node:
        parts = []
        while self._next and self._next not in "|)":
            part = self._one()
            while self._next and self._next in "*+?{":
                part = self._repeated(part)
            parts.append(part)
        return Node("all", tuple(parts))

    def _repeated(self, part: Node) -> Node:
        if part.kind in ("around", "repeat"):
            raise PatternError(f"a {self._next!r} stands where nothing can be repeated")
        mark = self._take()
        least, most = _REPEATS[mark] if mark in _REPEATS else self._counts()
        return Node("repeat", (part,), least=least, most=most)

    def _counts(self) -> tuple[int, int | None]:
        written = ""
        while self._next and self._next != "}":
            written += self._take()
        if self._take() != "}" or not re.fullmatch("[0-9]{1,4}(,[0-9]{0,4})?", written):
            raise PatternError(f"{{{written}}} is no count; write a plain brace as \\{{")
        first, comma, last = written.partition(",")
        least = int(first)
        most = (int(last) if last else None) if comma else least
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise PatternError(f"{{{written}}} must go upwards, to {_MOST_REPEATS} at most")
        return least, most

    def _one(self) -> Node:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return Node("one", test=self._set())
            case ".":
                return Node("one", test=lambda each: each != "\n")
            case "^" | "$":
                return Node("around", around=character)
            case "\\":
                return self._escaped()
            case "*" | "+" | "?" | "{":
                raise PatternError(f"a {character!r} stands where nothing can be repeated")
            case _:
                return Node("one", test=_same(character))

    def _group(self) -> Node:
        if self._next == "?":
            self._take()
            if self._take() != ":":
                raise PatternError("look-around and other (?…) are not understood; only (?:…) is")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise PatternError(f"groups stand in each other more than {_DEEPEST} deep")
        node = self._either()
        if self._take() != ")":
            raise PatternError("a '(' is never closed")
        if not node.parts:
            raise PatternError("a group is empty")
        self._depth -= 1
        return node

    def _escaped(self) -> Node:
        character = self._take()
        if character in ("b", "B"):
            return Node("around", around=character)
        if character in _CLASSES:
            return Node("one", test=_CLASSES[character])
        return Node("one", test=_same(self._plain(character)))

    def _plain(self, character: str) -> str:
        if not character:
            raise PatternError("it ends with a backslash")
        if character.isalnum() and character not in _WRITTEN:
            raise PatternError(f"\\{character} is not understood")
        return _WRITTEN.get(character, character)

    def _set(self) -> Test:
        tests: list[Test] = []
        negated = self._next == "^"
        if negated:
            self._take()
        first = True
        while self._next and (first or self._next != "]"):
            tests.append(self._member())
            first = False
        if self._take() != "]":
            raise PatternError("a '[' is never closed")
        return lambda character: any(test(character) for test in tests) is not negated

    def _member(self) -> Test:
        character = self._take()
        if character == "\\":
            if self._next in _CLASSES:
                return _CLASSES[self._take()]
            character = self._plain(self._take())
        if self._next != "-":
            return _same(character)
        self._take()
        if self._next in ("]", ""):  # a dash at the end is a dash
            return lambda each: each == "-" or _same(character)(each)
        last = self._take()
        last = self._plain(self._take()) if last == "\\" else last
        if last < character:
            raise PatternError(f"[{character}-{last}] must go upwards")
        return _between(character, last)
