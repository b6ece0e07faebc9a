"""Which passages fit a question, how well, and whether any of them fits at all.

Candidates come from the index; here BM25 orders them, counting synonyms and mended typing errors as a part
of a word. ``score`` of a returned passage tells how well it fits, from 0 to 1, so that an answer can be told
from a coincidence: how much of the question it holds, rare words weighing more and unknown ones most.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from parlour.features.knowledge.index import Index
from parlour.features.knowledge.reading import Reading
from parlour.features.knowledge.wanted import Wanted, wanted
from parlour.vocabulary.citation import Passage

# Chosen on SciFact (benchmarks/retrieval.py).
_CANDIDATES = 100

# So many of the candidates are looked at more closely.
_CLOSER = 25

# What further forms of a word count beside the best one.
_MORE = 0.2

# What the best sentence of a passage counts beside its whole.
_SENTENCE = 0.5

# What a passage's whole document counts beside it.
_DOCUMENT = 0.4

# What it counts that a heading says the same as the question; chosen on SciFact as well.
_AGREEMENT = 0.4


@dataclass(frozen=True, slots=True)
class _Weights:
    """What each kind of evidence counts in :func:`_fit`; ``nothing`` is what all of it is held against."""

    passage: float = 2.45
    sentence: float = 2.25
    document: float = 3.05
    agreement: float = 3.8
    words: float = 0.65
    rarest: float = 1.35
    unknown: float = 0.9
    nothing: float = 4.6


# Fitted on questions about the guides, fresh_a among them, against those of CLINC150 and Banking77, which no
# guide answers.
_FIT = _Weights()


class _Asked:
    """The words of a question, and for each stem what it is worth for which of them."""

    def __init__(self, words: list[Wanted]) -> None:
        self.words = words
        self.worth = sum(word.worth for word in words)
        self.proofs: dict[str, list[tuple[int, float]]] = {}
        self._shares: dict[str, float] = {}
        for place, word in enumerate(words):
            for stem, value in word.stems.items():
                self.proofs.setdefault(stem, []).append((place, value))
                self._shares[stem] = max(self._shares.get(stem, 0.0), word.share(stem))
        self.stems = frozenset(self.proofs)
        self._found: dict[frozenset[str], float] = {frozenset(): 0.0}

    def found(self, held: frozenset[str]) -> float:
        """Return what of the question's worth is found among the stems ``held``.

        Few of them are of any use, and sentences have the same few over and over: each sum is made once.
        """
        useful = self.stems & held
        worth = self._found.get(useful)
        if worth is None:
            best: dict[int, float] = {}
            for stem in useful:
                for place, value in self.proofs[stem]:
                    if value > best.get(place, 0.0):
                        best[place] = value
            worth = self._found[useful] = sum(best[place] for place in sorted(best))
        return worth

    def meant(self, heading: frozenset[str]) -> float:
        """Return how much of what a heading says was asked, from 0 to 1."""
        # In the question's order: a sum must not depend on how a set happens to be ordered.
        return sum(share for stem, share in self._shares.items() if stem in heading) / len(heading)


def rank(index: Index, question: str, *, limit: int, earlier: Sequence[str] = ()) -> list[Passage]:
    """Return the best passages for ``question``, each with how well it fits (0 to 1) as score."""
    asked = _Asked(wanted(index, question, earlier))
    relevance = _relevance(index, asked)
    documents: dict[str, float] = {}
    for place in relevance:
        passage = index.passages[place]
        if passage.document_id not in documents:
            documents[passage.document_id] = _DOCUMENT * asked.found(index.document(passage))
        relevance[place] += documents[passage.document_id]
    by_words = heapq.nlargest(max(limit, _CLOSER), relevance, key=relevance.__getitem__)
    closer: list[tuple[float, Passage, Reading]] = []
    least: list[float] = []  # the best so far, the least of them first: whatever cannot pass it is left out
    for place in by_words:
        passage, reading = index.passages[place], index.reading(place)
        document = documents[passage.document_id]
        relevant = relevance[place] - document
        if len(least) == limit and _placed_at_most(asked, relevant, reading) + document <= least[0]:
            continue
        placed = _placed(asked, relevant, reading) + document
        closer.append((placed, passage, reading))
        heapq.heappush(least, placed)
        if len(least) > limit:
            heapq.heappop(least)
    closer.sort(key=itemgetter(0), reverse=True)
    best = [
        replace(passage, score=_fit(index, asked, passage, reading)) for _, passage, reading in closer[:limit]
    ]
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


def _relevance(index: Index, asked: _Asked) -> dict[int, float]:
    """Return BM25 over synonyms, by the places of the passages that hold anything of the question."""
    holders = index.holders(asked.proofs, limit=_CANDIDATES)
    relevance: dict[int, float] = {}
    for word in asked.words:
        best: dict[int, float] = {}
        for stem, value in word.stems.items():
            for place, weight in holders.get(stem, ()):
                gain = value * weight
                relevance[place] = relevance.get(place, 0.0) + gain * _MORE
                if gain > best.get(place, 0.0):
                    best[place] = gain
        for place, gain in best.items():
            relevance[place] += gain * (1 - _MORE)
    return relevance


def _placed(asked: _Asked, relevance: float, reading: Reading) -> float:
    """Return ``relevance`` with more if one sentence holds the words, or a heading says the same."""
    sentence = max(map(asked.found, reading.sentences), default=0.0)
    return (relevance + _SENTENCE * sentence) * (1 + _AGREEMENT * _agreement(asked, reading))


def _placed_at_most(asked: _Asked, relevance: float, reading: Reading) -> float:
    """Return a bound of :func:`_placed` that costs one look: as if one sentence and a heading held it all."""
    return (relevance + _SENTENCE * asked.found(reading.held)) * (1 + _AGREEMENT)


def _agreement(asked: _Asked, reading: Reading) -> float:
    """Return how nearly the best of a passage's headings says the same as the question, from 0 to 1."""
    best = 0.0
    for heading in reading.headings:
        found = asked.found(heading)
        if found and asked.worth:
            held, meant = found / asked.worth, asked.meant(heading)
            best = max(best, 2 * held * meant / (held + meant))
    return best


def _fit(index: Index, asked: _Asked, passage: Passage, reading: Reading) -> float:
    """Return how well a passage fits the question, from 0 to 1: as in a logistic regression.

    For it speaks how much of the question the passage holds, its best sentence, its document and its headings
    hold, and how many words of it; against it, that words are unknown to all documents, and that a single
    rare word does all the work.
    """
    words, worth = asked.words, asked.worth
    if not worth:
        return 0.0
    unit = index.rarity(0)
    held = asked.stems & reading.held
    found = [word.found(held) for word in words]
    sentence = max((asked.found(reading.titles | sentence) for sentence in reading.sentences), default=0.0)
    unknown = sum(word.worth for word in words if not word.stems)
    evidence = (
        _FIT.passage * sum(found) / worth
        + _FIT.sentence * sentence / worth
        + _FIT.document * asked.found(index.document(passage)) / worth
        + _FIT.agreement * _agreement(asked, reading)
        + _FIT.words
        * sum(1 for word, value in zip(words, found, strict=True) if value and word.worth > unit / 5)
        - _FIT.rarest * max(found) / unit
        - _FIT.unknown * unknown / unit
        - _FIT.nothing
    )
    return round(1 / (1 + math.exp(-evidence)), 4)
