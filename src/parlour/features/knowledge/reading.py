"""What ranking needs to know of a passage: its words counted, its sentences and headings as sets of stems."""

from collections.abc import Iterator
from dataclasses import dataclass

from parlour.llm.markdown import blocks, has_fence, sentences
from parlour.llm.words import telling_stems, text_stems
from parlour.vocabulary.citation import Passage

# A word in a heading counts as so many more in the text, one in the document's title as so many.
_HEADING = 2.0
_TITLE = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage in stems. ``counts`` are weighted by place; ``headings`` holds each heading by itself,
    ``held`` everything that stands in a title or a sentence.
    """

    counts: dict[str, float]
    length: int
    titles: frozenset[str]
    sentences: tuple[frozenset[str], ...]
    headings: tuple[frozenset[str], ...]
    held: frozenset[str]


def read(passage: Passage) -> Reading:
    """Read a passage; takes about 0.2 ms."""
    text = text_stems(passage.text)
    counts: dict[str, float] = {}
    for word in text:
        counts[word] = counts.get(word, 0.0) + 1.0
    title = frozenset(text_stems(passage.document_title))
    headings = frozenset(text_stems(" ".join(passage.title_path[1:])))
    for words, weight in ((headings, _HEADING), (title, _TITLE)):
        for word in words:
            counts[word] = counts.get(word, 0.0) + weight
    titles = title | headings
    sentences = tuple(frozenset(text_stems(sentence)) for sentence in _sentences(passage.text))
    return Reading(
        counts=counts,
        length=len(text),
        titles=titles,
        sentences=sentences,
        headings=tuple(filter(None, map(telling_stems, passage.title_path))),
        held=titles.union(*sentences),
    )


def _sentences(text: str) -> Iterator[str]:
    for block in blocks(text):
        yield from [block] if has_fence(block) else sentences(block)
