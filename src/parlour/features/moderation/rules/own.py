"""The owner's list: lines that are words, phrases, or patterns between slashes.

A word or phrase is found whole, whatever its case, its width or invisible characters in it; in scripts that
do not part words it is found anywhere. A list of any length costs one look-up per word of the text.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from parlour.features.moderation.rules.patterns import Patterns
from parlour.features.moderation.rules.syntax import PatternError
from parlour.vocabulary.errors import FieldError, InvalidInput

LARGEST_LIST: Final = 1024 * 1024
_LONGEST_NAME: Final = 80

_WORD = re.compile(r"[\w\u00ad\u200b-\u200d\u2060\ufeff]+")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNPARTED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class _Token(NamedTuple):
    """A word of a text in the form that is compared, and where it stands."""

    word: str
    start: int
    end: int


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFKC", word.translate(_INVISIBLE)).casefold()


def _tokens(text: str) -> list[_Token]:
    return [_Token(_folded(match[0]), *match.span()) for match in _WORD.finditer(text)]


class OwnRules:
    """A list of words, phrases and patterns."""

    def __init__(self, lines: Iterable[str] = (), *, prefix: str = "own") -> None:
        """Take the lines; empty ones and those that begin with ``#`` say nothing. Raises InvalidInput."""
        self._phrases: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._names: list[str] = []
        patterns: list[str] = []
        for number, line in enumerate(map(str.strip, lines), start=1):
            if not line or line.startswith("#"):
                continue
            name = f"{prefix}: {line[:_LONGEST_NAME]}"
            pattern = _pattern_of(line)
            if pattern is None:
                words = tuple(token.word for token in _tokens(line))
                if not words:
                    raise _wrong(number, "has no word in it; write signs as a pattern, such as /\\$\\$/")
                self._phrases[words[0]].append((words, name))
                continue
            try:
                Patterns([pattern])
            except PatternError as error:
                raise _wrong(number, str(error)) from None
            patterns.append(pattern)
            self._names.append(name)
        try:
            self._patterns = Patterns(patterns)
        except PatternError as error:
            raise InvalidInput(FieldError("moderation.rules", f"In the list of rules {error}.")) from None

    @classmethod
    def read(cls, file: Path) -> "OwnRules":
        """Read a list from a file in UTF-8. Raises InvalidInput with the line that is wrong."""
        try:
            with file.open("rb") as opened:
                data = opened.read(LARGEST_LIST + 1)
            if len(data) > LARGEST_LIST:
                raise InvalidInput(FieldError("moderation.rules", f"{file} is over {LARGEST_LIST} bytes."))
            return cls(data.decode("utf-8-sig").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(FieldError("moderation.rules", f"{file} cannot be read ({error}).")) from None

    def __bool__(self) -> bool:
        """Tell whether there is any rule."""
        return bool(self._phrases or self._patterns)

    def found_in(self, text: str) -> list[str]:
        """Return the names of the rules that ``text`` meets, each once."""
        names = [name for name, _, _ in self._phrases_in(text)] if self._phrases else []
        names += [self._names[rule] for rule in sorted(self._patterns.found_in(text))]
        return list(dict.fromkeys(names))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where rules are met, in order, overlaps joined."""
        found = [(start, end) for _, start, end in self._phrases_in(text)]
        if rules := self._patterns.found_in(text):
            found += self._patterns.spans(text, rules)
        joined: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((start, end))
        return joined

    def _phrases_in(self, text: str) -> list[tuple[str, int, int]]:
        tokens = _tokens(text)
        found = []
        for place, token in enumerate(tokens):
            for words, name in self._phrases.get(token.word, ()):
                following = tokens[place : place + len(words)]
                if tuple(each.word for each in following) == words:
                    found.append((name, token.start, following[-1].end))
        return found


def _pattern_of(line: str) -> str | None:
    if len(line) > 2 and line.startswith("/") and line.endswith("/"):
        return line[1:-1]
    if _UNPARTED.search(line):
        return re.sub(r"([^\w\s])", r"\\\1", line)
    return None


def _wrong(number: int, reason: str) -> InvalidInput:
    return InvalidInput(FieldError("moderation.rules", f"Line {number} of the list of rules: {reason}."))
