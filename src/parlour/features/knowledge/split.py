"""From a document to its passages: cut at headings first, then at the ends of paragraphs.

Pure functions. No text is lost and its order is kept; a code block stays whole as long as it is not
absurdly long; no passage is longer than a limit, so that one file can't crowd out all others.
"""

import re
from dataclasses import dataclass

from parlour.llm.markdown import blocks, fence_after, has_fence, sentences
from parlour.vocabulary.citation import Passage

# A screenful: enough to hold a how-to with its command, little enough to be shown as a quotation.
PASSAGE_CHARACTERS = 1_200
# A code block is cut only beyond this.
CODE_CHARACTERS = 6_000
_ROUGH_CHARACTERS = 50_000

_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r"={2,}|-{2,}")
_LIST_OR_TABLE = re.compile(r"\s*(?:[-*+>|]|\d+[.)]\s|```|~~~)")


@dataclass(frozen=True, slots=True)
class Section:
    """The text under one heading; ``path`` is its place, beginning with the document's title."""

    path: tuple[str, ...]
    text: str


def passages(document_id: str, text: str, *, fallback_title: str, markdown: bool) -> tuple[Passage, ...]:
    """Split one document. Its title is its first heading of level 1, else ``fallback_title``."""
    found = _sections(text, fallback_title) if markdown else [Section((fallback_title,), text)]
    title = found[0].path[0] if found else fallback_title
    result: list[Passage] = []
    for section in found:
        for piece in pieces(section.text):
            result.append(
                Passage(
                    id=f"{document_id}#{len(result) + 1}",
                    document_id=document_id,
                    document_title=title,
                    title_path=section.path,
                    text=piece,
                )
            )
    return tuple(result)


def pieces(text: str) -> list[str]:
    """Cut ``text`` into pieces of at most about a screenful, where possible at the ends of paragraphs."""
    result: list[str] = []
    held = ""
    for block in blocks(text):
        joined = f"{held}\n\n{block}" if held else block
        # An introduction that announces its code or list ("…:") is never parted from it.
        if len(joined) <= PASSAGE_CHARACTERS or (held.endswith(":") and len(joined) <= CODE_CHARACTERS):
            held = joined
            continue
        if held:
            result.append(held)
        *whole, held = _bounded(block)
        result.extend(whole)
    return [*result, held] if held else result


def _sections(text: str, fallback_title: str) -> list[Section]:
    """Cut at ATX headings; a heading inside a code block is not one."""
    title, text = _front_matter(text)
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    found: list[tuple[tuple[str, ...], str]] = []
    fence = ""

    def close(*, next_level: int) -> None:
        body = "\n".join(lines).strip("\n")
        lines.clear()
        # A heading over deeper headings needs no passage of its own; its words are in their paths.
        if body.strip() or (path and next_level <= path[-1][0]):
            headings = tuple(heading for _, heading in path)
            found.append((headings, body if body.strip() else headings[-1]))

    for line in text.split("\n"):
        level, words = (0, "") if fence else _heading(line, lines)
        if level:
            close(next_level=level)
            path = [step for step in path if step[0] < level] + [(level, plain_heading(words))]
            title = title or (path[0][1] if level == 1 else "")
            continue
        lines.append(line)
        fence = fence_after(line, fence)
    close(next_level=0)
    title = title or fallback_title
    return [
        Section(headings if headings[:1] == (title,) else (title, *headings), body)
        for headings, body in found
    ]


def _heading(line: str, before: list[str]) -> tuple[int, str]:
    """Return level and words of a heading, or 0. An underlined one takes its words out of ``before``."""
    matched = _HEADING.match(line)
    if matched and matched.group(2):
        return len(matched.group(1)), matched.group(2)
    alone = bool(before) and bool(before[-1].strip()) and (len(before) == 1 or not before[-2].strip())
    if alone and _UNDERLINE.fullmatch(line.strip()) and not _LIST_OR_TABLE.match(before[-1]):
        return (1 if line.strip()[0] == "=" else 2), before.pop().strip()
    return 0, ""


def plain_heading(text: str) -> str:
    """Take the marks off a heading: backticks, emphasis, links."""
    return re.sub(r"[`*]|!?\[([^\]]*)\]\([^)]*\)", lambda match: match.group(1) or "", text).strip() or text


def _front_matter(text: str) -> tuple[str, str]:
    """Take a YAML front matter off the top and keep its title, if it has one."""
    matched = re.match(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)", text, re.DOTALL)
    if matched is None or not re.match(r"[\w-]+:", matched.group(1)):
        return "", text
    title = re.search(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", matched.group(1), re.MULTILINE)
    return (title.group(2) if title else ""), text[matched.end() :]


def _bounded(block: str) -> list[str]:
    """Cut a block that is too long by itself: code at line ends, text at sentence ends, else anywhere."""
    code = has_fence(block)
    limit = CODE_CHARACTERS if code else PASSAGE_CHARACTERS
    if len(block) <= limit:
        return [block]
    if code or block.count("\n") > len(block) // 400:
        return _packed(block.split("\n"), "\n", limit)
    # Cut roughly first: looking for sentences in megabytes without a paragraph would take too long.
    rough = _packed(block.split(" "), " ", _ROUGH_CHARACTERS)
    return [piece for part in rough for piece in _packed(sentences(part), " ", limit)]


def _packed(parts: list[str], glue: str, limit: int) -> list[str]:
    result: list[str] = []
    held = ""
    for part in parts:
        if held and len(held) + len(glue) + len(part) > limit:
            result.append(held)
            held = ""
        held = f"{held}{glue}{part}" if held else part
        while len(held) > limit:
            cut = held.rfind(" ", limit // 2, limit)
            cut = cut if cut > 0 else limit
            result.append(held[:cut])
            held = held[cut:].removeprefix(" ")
    return [*result, held] if held else result
