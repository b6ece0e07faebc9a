"""Personal data leaves the server as placeholders, and comes back into the answer (M-10, B-8).

A placeholder such as ``[e-mail 1]`` stands for the same value wherever it is in one prompt. Whoever made it
can undo it, also in a stream that is cut anywhere. Nothing here is kept longer than one answer.
"""

import re
from collections import Counter
from collections.abc import Callable

from parlour.features.moderation.masking.personal import ALL_KINDS, Kind, find
from parlour.features.moderation.values import MaskReceipt

# What a text itself has in the form of a placeholder is a value, too: it must not come back as another one.
_LITERAL = "text"
_NAMES = {kind: kind.value for kind in Kind}
_PLACEHOLDER = re.compile(
    rf"\[({'|'.join([*_NAMES.values(), _LITERAL])}) ([0-9]{{1,6}})\]", re.ASCII | re.IGNORECASE
)
# The beginning of a placeholder, at the end of what has arrived.
_BEGUN = re.compile(r"\[(?:[a-z-]{1,6}(?: [0-9]{0,6})?)?\Z", re.ASCII | re.IGNORECASE)


class Masker:
    """Masks the texts of one prompt, each value by the same placeholder throughout."""

    def __init__(self, kinds: frozenset[Kind] = ALL_KINDS) -> None:
        """Mask values of these kinds."""
        self._kinds = kinds
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[tuple[str, str], str] = {}
        self._numbers: Counter[str] = Counter()

    def mask(self, text: str) -> str:
        """Return ``text`` with placeholders for what must not leave the server."""
        if not text:
            return text
        found = [(start, end, _NAMES[kind]) for start, end, kind in find(text, self._kinds)]
        if "[" in text:
            taken = found
            found = [
                (match.start(), match.end(), _LITERAL)
                for match in _PLACEHOLDER.finditer(text)
                if not any(start < match.end() and match.start() < end for start, end, _ in taken)
            ]
            found = sorted(taken + found)
        pieces, done = [], 0
        for start, end, name in found:
            pieces += [text[done:start], self._placeholder(name, text[start:end])]
            done = end
        return "".join([*pieces, text[done:]]) if found else text

    def unmask(self, text: str, *, written: Callable[[str], str] = str) -> str:
        """Return ``text`` with the values in place of their placeholders, each as ``written`` writes it."""
        if not self._values or "[" not in text:
            return text
        return _PLACEHOLDER.sub(lambda match: written(self._value(match)), text)

    def unmasker(self) -> "Unmasker":
        """Return what undoes this masking in a stream."""
        return Unmasker(self)

    @property
    def receipt(self) -> MaskReceipt:
        """How many values of each kind were kept from leaving so far."""
        return MaskReceipt({name: count for name, count in self._numbers.items() if name != _LITERAL})

    def _placeholder(self, name: str, value: str) -> str:
        made = self._placeholders.get((name, value))
        if made is None:
            self._numbers[name] += 1
            number = str(self._numbers[name])
            made = self._placeholders[name, value] = f"[{name} {number}]"
            self._values[name.lower(), number] = value
        return made

    def _value(self, match: re.Match[str]) -> str:
        return self._values.get((match[1].lower(), match[2]), match[0])


class Unmasker:
    """Puts values back into an answer that arrives in pieces; holds back less than one placeholder."""

    def __init__(self, masker: Masker) -> None:
        """Undo what ``masker`` did."""
        self._masker = masker
        self._held = ""

    def feed(self, text: str) -> str:
        """Return what can be shown now."""
        text, self._held = self._held + text, ""
        begun = _BEGUN.search(text, max(0, len(text) - 16))
        if begun is not None:
            text, self._held = text[: begun.start()], text[begun.start() :]
        return self._masker.unmask(text)

    def end(self) -> str:
        """Return what is left at the end: the beginning of something that was no placeholder."""
        held, self._held = self._held, ""
        return held
