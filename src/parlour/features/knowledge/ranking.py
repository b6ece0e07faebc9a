"""Which passages fit a question, how well, and whether any of them fits at all.

Candidates come from the index; here BM25 orders them, counting synonyms and mended typing errors as a part
of a word. ``score`` of a returned passage tells how well it fits, from 0 to 1, so that an answer can be told
from a coincidence: how much of the question it holds, rare words weighing more and unknown ones most.
"""

import math
from collections.abc import Sequence, Set
from dataclasses import replace

from parlour.features.knowledge.index import Index
from parlour.features.knowledge.reading import Reading
from parlour.features.knowledge.wanted import Wanted, wanted
from parlour.vocabulary.citation import Passage

# Chosen on SciFact (benchmarks/retrieval.py).
_SATURATION = 1.5
_LENGTH = 0.5
_CANDIDATES = 100

# What it counts that a heading says the same as the question; chosen on SciFact as well.
_AGREEMENT = 0.3


def rank(index: Index, question: str, *, limit: int, earlier: Sequence[str] = ()) -> list[Passage]:
    """Return the best passages for ``question``, each with how well it fits (0 to 1) as score."""
    words = wanted(index, question, earlier)
    known = {stem for word in words for stem in word.stems}
    candidates = [(passage, index.reading(passage)) for passage in index.candidates(known, limit=_CANDIDATES)]
    candidates.sort(key=lambda entry: _relevance(index, words, known, entry[1]), reverse=True)
    best = [replace(passage, score=_fit(index, words, reading)) for passage, reading in candidates[:limit]]
    return _with_continuation(index, best)[:limit]


def _with_continuation(index: Index, best: list[Passage]) -> list[Passage]:
    """Let the first section follow its document's introduction, where that came out best.

    An introduction often holds the words of the question just because it says what is coming.
    """
    if not best or len(best[0].title_path) > 1:
        return best
    following = index.after(best[0])
    if following is None:
        return best
    others = [passage for passage in best[1:] if passage.id != following.id]
    return [best[0], replace(following, score=best[0].score), *others]


def _relevance(index: Index, words: list[Wanted], known: Set[str], reading: Reading) -> float:
    """Return BM25 over synonyms, with something on top if a heading says the same as the question.

    A passage holds few of the many stems, ``known``, that prove a word: only those are looked at.
    """
    held = known & reading.counts.keys()
    norm = _SATURATION * (1 - _LENGTH + _LENGTH * reading.length / max(1.0, index.average_length))
    total = 0.0
    for word in words:
        if held.isdisjoint(word.stems):
            continue
        count = sum(reading.counts[stem] * proof for stem, proof in word.stems.items() if stem in held)
        total += word.worth * count * (_SATURATION + 1) / (count + norm)
    return total * (1 + _AGREEMENT * _agreement(words, known, reading))


def _agreement(words: list[Wanted], known: Set[str], reading: Reading) -> float:
    """Return how nearly the best of a passage's headings says the same as the question, from 0 to 1."""
    asked = sum(word.worth for word in words)
    best = 0.0
    for heading in reading.headings:
        if known.isdisjoint(heading):
            continue
        held = _found(words, heading) / asked if asked else 0.0
        if held:
            meant = sum(max(word.stems.get(stem, 0.0) for word in words) for stem in heading) / len(heading)
            best = max(best, 2 * held * meant / (held + meant))
    return best


def _fit(index: Index, words: list[Wanted], reading: Reading) -> float:
    """Return how well a passage fits the question, from 0 to 1.

    What is found of the question's words, on average of the whole passage, its best sentence and its
    headings, is held against all of them: more found words are better evidence, and a long question in
    everyday words is forgiven some that nothing matches, hence the root.
    """
    places = (
        _found(words, reading.titles.union(*reading.sentences)),
        max((_found(words, reading.titles | sentence) for sentence in reading.sentences), default=0.0),
        _found(words, reading.titles),
    )
    # Rarities grow with the number of passages; their share of the greatest one does not.
    unit = index.rarity(0)
    asked = sum(word.worth for word in words) / unit
    evidence = sum(places) / len(places) / unit / math.sqrt(asked) if asked else 0.0
    return round(evidence / (1 + evidence), 4)


def _found(words: list[Wanted], held: Set[str]) -> float:
    return sum(
        word.worth * max(proof for stem, proof in word.stems.items() if stem in held)
        for word in words
        if not held.isdisjoint(word.stems)
    )
