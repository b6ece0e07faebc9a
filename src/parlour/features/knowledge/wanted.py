"""What a question wants of an index: its words with their synonyms, typing errors mended, rare ones first."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from parlour.features.knowledge.index import Index
from parlour.llm.english.stems import stem
from parlour.llm.words import (
    LISTED,
    STOP_WORDS,
    SYNONYM,
    WEAK,
    WEAK_WORDS,
    Term,
    is_common,
    is_everyday,
    is_follow_up,
    names,
    terms,
    variants,
)

# What a word with one typing error proves, and how short and long it may be to be mended at all: the work
# grows with the square of its length, and a message may be one word of ten thousand letters.
_TYPO = 0.8
_TYPO_MINIMUM = 5
_TYPO_MAXIMUM = 24

# Words of earlier questions help a follow-up to find its subject, but must not drown what is new in it.
_EARLIER = 0.4

# What a word counts that is in no document in any form, beside the rarest one that is.
_UNKNOWN = 0.8

# The same of a name: what nobody has written about is most likely another matter.
_NAME = 1.5

# The same of a word that may well be said in other words: one of everyday English, or a number.
_EVERYDAY = 0.4

# How much the rarity of a word itself counts, beside that of what it means.
_OWN = 0.35

# A pasted essay is searched by its beginning.
_WORDS_AT_MOST = 60

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A word of the question as an index knows it: what it is worth, and what each stem for it is worth."""

    stems: dict[str, float]
    worth: float

    def found(self, held: Set[str]) -> float:
        """Return what of the word's worth is found among the stems ``held``."""
        if held.isdisjoint(self.stems):
            return 0.0
        return max(value for stem, value in self.stems.items() if stem in held)

    def share(self, stem: str) -> float:
        """Return how much of the word a stem proves, from 0 to 1."""
        return self.stems.get(stem, 0.0) / self.worth if self.worth else 0.0


def wanted(index: Index, question: str, earlier: Sequence[str]) -> list[Wanted]:
    """Return the words of a question, and for a follow-up also those of the questions before it."""
    asked = [(term, 1.0) for term in terms(question)]
    own = {term.word for term, _ in asked}
    share = _EARLIER if asked else 1.0
    leaning = earlier if is_follow_up(question) else ()
    before = [(term, share) for text in leaning for term in terms(text) if term.word not in own]
    named = names(question)
    return [
        _known(index, term, share, named=term.word in named)
        for term, share in (asked + before)[:_WORDS_AT_MOST]
    ]


def _known(index: Index, term: Term, share: float, *, named: bool) -> Wanted:
    """Keep the stems that the index has; mend a word that it has in no form."""
    proofs = {word: proof for word, proof in term.stems.items() if word in index.counts}
    weight = term.weight
    if not proofs and not is_common(term.word):
        near = set(_one_error_away(term.word))
        proofs = _mended(index, near)
        # "insted", "anwyay": mistyped words of little meaning must not pass for rare ones.
        weight = WEAK if near & (WEAK_WORDS | STOP_WORDS) and not proofs else weight
    rarity = {word: index.rarity(index.counts[word]) for word in proofs}
    worth = _worth(term, rarity, proofs) if proofs else _unknown(term.word, named=named) * index.rarity(0)
    share *= weight
    values = {word: proof * min(worth, rarity[word]) * share for word, proof in proofs.items()}
    return Wanted(stems=values, worth=worth * share)


def _worth(term: Term, rarity: dict[str, float], proofs: dict[str, float]) -> float:
    """Return how rare a word is: between how rare it is itself and how rare its meaning is."""
    strong = [rarity[word] for word, proof in proofs.items() if proof >= SYNONYM * _TYPO]
    meaning = min(strong, default=max(rarity.values()))
    own = rarity.get(stem(term.word), meaning)
    return _OWN * own + (1 - _OWN) * meaning


def _unknown(word: str, *, named: bool) -> float:
    """Return what a word counts that no document has, beside the rarest one that some document has."""
    if named:
        return _NAME
    return _EVERYDAY if is_everyday(word) else _UNKNOWN


def _mended(index: Index, near: set[str]) -> dict[str, float]:
    """Return what the words ``near`` a mistyped one prove, their synonyms included."""
    proofs: dict[str, float] = {}
    for right in near & (index.spellings | LISTED):
        for word, proof in variants(right).items():
            if word in index.counts:
                proofs[word] = max(proofs.get(word, 0.0), _TYPO * proof)
    return proofs


def _one_error_away(word: str) -> Iterator[str]:
    """Yield all words one letter away, with the same first letter."""
    if not _TYPO_MINIMUM <= len(word) <= _TYPO_MAXIMUM or not word.isascii() or not word.isalpha():
        return
    for place in range(1, len(word) + 1):
        before, after = word[:place], word[place:]
        yield from (before + letter + after for letter in _LETTERS)
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in _LETTERS)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
