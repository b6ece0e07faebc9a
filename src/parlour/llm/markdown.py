"""Markdown, read just far enough to cut it without breaking it: blocks, fences, sentences. Pure functions."""

import re

_FENCE = re.compile(r"^[ \t]*(?:[-*+>][ \t]+)?(`{3,}|~{3,})")
_INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_SENTENCE_END = re.compile(r"[.!?\u2026](?:[\"')\]\u201d\u2019*_]*)(?=\s+[^a-z\s])|[\u3002\uff01\uff1f]\s*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:e\.g|i\.e|etc|cf|vs|approx|nr|fig|dr|mr|mrs|ms|prof|st|z\.b|d\.h|bzw|ca|[a-z])\.$",
    re.IGNORECASE,
)


def blocks(text: str) -> list[str]:
    """Return paragraphs, lists and fenced code blocks in order, without the empty lines between them."""
    result: list[str] = []
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        if fence or line.strip():
            lines.append(line)
            fence = fence_after(line, fence)
        elif lines:
            result.append("\n".join(lines))
            lines = []
    return [*result, "\n".join(lines)] if lines else result


def fence_after(line: str, fence: str) -> str:
    """Return the fence that is open after ``line`` if ``fence`` was open before it; empty for none."""
    opening = _FENCE.match(line)
    if opening is None:
        return fence
    if not fence:
        return opening.group(1)
    mark = line.strip()
    return "" if set(mark) == {fence[0]} and len(mark) >= len(fence) else fence


def has_fence(block: str) -> bool:
    """Tell whether a block contains a fence, and therefore must not be cut at its sentences."""
    return any(_FENCE.match(line) for line in block.split("\n"))


def sentences(paragraph: str) -> list[str]:
    """Cut a paragraph at the ends of its sentences, never inside code or after an abbreviation."""
    # Same length as the paragraph, with nothing in inline code that could look like an end.
    masked = _INLINE_CODE.sub(lambda code: "X" * len(code.group()), paragraph)
    result: list[str] = []
    begin = 0
    for end in _SENTENCE_END.finditer(masked):
        if _ABBREVIATION.search(masked[begin : end.end()]):
            continue
        result.append(paragraph[begin : end.end()].strip())
        begin = end.end()
    rest = paragraph[begin:].strip()
    return [*result, rest] if rest else result
