"""Which passages fit a question, how well, and whether any of them fits at all.

Candidates come from the index; here BM25 orders them, counting synonyms and mended typing errors as a part
of a word. ``score`` of a returned passage tells how well it fits, from 0 to 1, so that an answer can be told
from a coincidence: how much of the question it holds, rare words weighing more and unknown ones most.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace

from parlour.features.knowledge.index import Index
from parlour.llm.markdown import blocks, has_fence, sentences
from parlour.llm.stems import stem
from parlour.llm.words import (
    STOP_WORDS,
    WEAK,
    WEAK_WORDS,
    Term,
    is_follow_up,
    stems,
    telling_stems,
    terms,
    variants,
)
from parlour.vocabulary.citation import Passage

# Chosen on SciFact (benchmarks/retrieval.py).
_SATURATION = 1.5
_LENGTH = 0.5
_HEADING = 2.0
_TITLE = 1.0
_CANDIDATES = 100

# What it counts that a heading says the same as the question; chosen on SciFact as well.
_AGREEMENT = 0.3

# What a word with one typing error proves, and how short it may be to be mended at all.
_TYPO = 0.8
_TYPO_MINIMUM = 5

# Words of earlier questions help a follow-up to find its subject, but must not drown what is new in it.
_EARLIER = 0.4

# A pasted essay is searched by its beginning.
_WORDS_AT_MOST = 60


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A word of the question as this index knows it: proving stems, rarity, and weight."""

    stems: dict[str, float]
    rarity: float
    weight: float


def rank(index: Index, question: str, *, limit: int, earlier: Sequence[str] = ()) -> list[Passage]:
    """Return the best passages for ``question``, each with how well it fits (0 to 1) as score."""
    wanted = _wanted(index, question, earlier)
    known = {word for want in wanted for word in want.stems}
    scored = [
        (
            _relevance(index, wanted, *_words(passage)) * (1 + _AGREEMENT * _agreement(wanted, passage)),
            passage,
        )
        for passage in index.candidates(known, limit=_CANDIDATES)
    ]
    scored.sort(key=lambda entry: entry[0], reverse=True)
    best = [replace(passage, score=_fit(index, wanted, passage)) for _, passage in scored[:limit]]
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


def _wanted(index: Index, question: str, earlier: Sequence[str]) -> list[_Wanted]:
    asked = [(term, 1.0) for term in terms(question)]
    own = {term.word for term, _ in asked}
    share = _EARLIER if asked else 1.0
    leaning = earlier if is_follow_up(question) else ()
    before = [(term, share) for text in leaning for term in terms(text) if term.word not in own]
    everything = (asked + before)[:_WORDS_AT_MOST]
    counts = index.documents_with(word for term, _ in everything for word in term.stems)
    return [_known(index, counts, term, share) for term, share in everything]


def _known(index: Index, counts: dict[str, int], term: Term, share: float) -> _Wanted:
    """Keep the stems that the index has; mend a word that it has in no form."""
    proofs = {word: proof for word, proof in term.stems.items() if word in counts}
    weight = term.weight
    if not proofs:
        near = set(_one_error_away(term.word))
        proofs, mended = _mended(index, near)
        counts = counts | mended
        # "insted", "anwyay": mistyped words of little meaning must not pass for rare ones.
        weight = WEAK if near & (WEAK_WORDS | STOP_WORDS) and not proofs else weight
    own = stem(term.word)
    # A synonym makes a word no rarer than its most common form.
    count = counts[own] if own in proofs else max((counts[word] for word in proofs), default=0)
    return _Wanted(stems=proofs, rarity=index.rarity(count), weight=weight * share)


def _mended(index: Index, near: set[str]) -> tuple[dict[str, float], dict[str, int]]:
    """Return what the words ``near`` a mistyped one prove, synonyms included, and how often each occurs."""
    meant = index.documents_with(stem(word) for word in near)
    proofs = {
        word: _TYPO * proof
        for right in near
        if stem(right) in meant
        for word, proof in sorted(variants(right).items(), key=lambda entry: entry[1])
    }
    counts = index.documents_with(proofs)
    return {word: proof for word, proof in proofs.items() if word in counts}, counts


def _words(passage: Passage) -> tuple[Counter[str], int]:
    """Count the stems of a passage, those of its headings for more, and tell the length of its text."""
    text = stems(passage.text)
    words = Counter(text)
    weighted: dict[str, float] = {}
    for word in stems(" ".join(passage.title_path[1:])):
        weighted[word] = _HEADING
    for word in stems(passage.document_title):
        weighted[word] = weighted.get(word, 0.0) + _TITLE
    for word, extra in weighted.items():
        words[word] += extra  # type: ignore[assignment]  # a Counter of floats is what BM25F asks for
    return words, len(text)


def _relevance(index: Index, wanted: list[_Wanted], words: Counter[str], length: int) -> float:
    norm = _SATURATION * (1 - _LENGTH + _LENGTH * length / max(1.0, index.average_length))
    total = 0.0
    for want in wanted:
        count = sum(words[word] * proof for word, proof in want.stems.items())
        total += want.weight * want.rarity * count * (_SATURATION + 1) / (count + norm)
    return total


def _agreement(wanted: list[_Wanted], passage: Passage) -> float:
    """Return how nearly the best of a passage's headings says the same as the question, from 0 to 1."""
    asked = sum(want.weight * want.rarity for want in wanted)
    best = 0.0
    for heading in passage.title_path:
        words = telling_stems(heading)
        if words and asked:
            held = _found(wanted, words) / asked
            meant = sum(max(want.stems.get(word, 0.0) for want in wanted) for word in words) / len(words)
            best = max(best, 2 * held * meant / (held + meant) if held + meant else 0.0)
    return best


def _fit(index: Index, wanted: list[_Wanted], passage: Passage) -> float:
    """Return how well a passage fits the question, from 0 to 1.

    What is found of the question's words, on average of the whole passage, its best sentence and its
    headings, is held against all of them: more found words are better evidence, and a long question in
    everyday words is forgiven some that nothing matches, hence the root.
    """
    headings = set(stems(" ".join((passage.document_title, *passage.title_path))))
    each = [headings.union(stems(sentence)) for sentence in _sentences(passage.text)]
    places = (
        headings.union(*each),
        max(each, key=lambda words: _found(wanted, words), default=headings),
        headings,
    )
    # Rarities grow with the number of passages; their share of the greatest one does not.
    unit = index.rarity(0)
    asked = sum(want.weight * want.rarity for want in wanted) / unit
    found = sum(_found(wanted, words) for words in places) / len(places) / unit
    evidence = found / math.sqrt(asked) if asked else 0.0
    return round(evidence / (1 + evidence), 4)


def _found(wanted: list[_Wanted], words: Set[str]) -> float:
    return sum(
        want.weight
        * want.rarity
        * max((proof for word, proof in want.stems.items() if word in words), default=0)
        for want in wanted
    )


def _sentences(text: str) -> Iterator[str]:
    for block in blocks(text):
        yield from [block] if has_fence(block) else sentences(block)


def _one_error_away(word: str) -> Iterator[str]:
    """Yield all words one letter away, with the same first letter."""
    if len(word) < _TYPO_MINIMUM or not word.isascii() or not word.isalpha():
        return
    letters = "abcdefghijklmnopqrstuvwxyz"
    for place in range(1, len(word) + 1):
        before, after = word[:place], word[place:]
        yield from (before + letter + after for letter in letters)
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in letters)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
