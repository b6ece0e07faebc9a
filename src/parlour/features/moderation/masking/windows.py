"""Patterns over long texts, a window at a time: no other thread runs while a pattern searches."""

import re
from collections.abc import Iterator
from typing import Final

WINDOW: Final = 32 * 1024
# More than the longest value; whatever begins in a window is found whole.
_OVERLAP: Final = 12 * 1024
_NEAR: Final = 64  # so near to the end of what was searched, a pattern may have been cut short


def matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield what ``pattern.finditer`` yields, for patterns whose matches are shorter than a window."""
    if len(text) <= WINDOW + _OVERLAP:
        yield from pattern.finditer(text)
        return
    begin = 0
    while begin < len(text):
        edge = begin + WINDOW
        end = min(edge + _OVERLAP, len(text))
        begin = edge
        for found in pattern.finditer(text, edge - WINDOW, end):
            if found.start() >= edge:
                break
            whole = pattern.match(text, found.start()) if found.end() > end - _NEAR else found
            if whole is not None:
                begin = max(begin, whole.end())
                yield whole
