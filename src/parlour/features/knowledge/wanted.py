"""What a question wants of an index: its words with their synonyms, typing errors mended, rare ones first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parlour.features.knowledge.index import Index
from parlour.llm.stems import stem
from parlour.llm.words import STOP_WORDS, WEAK, WEAK_WORDS, Term, is_follow_up, terms, variants

# What a word with one typing error proves, and how short it may be to be mended at all.
_TYPO = 0.8
_TYPO_MINIMUM = 5

# Words of earlier questions help a follow-up to find its subject, but must not drown what is new in it.
_EARLIER = 0.4

# A pasted essay is searched by its beginning.
_WORDS_AT_MOST = 60

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A word of the question as an index knows it: the stems that prove it, and what finding it is worth."""

    stems: dict[str, float]
    worth: float


def wanted(index: Index, question: str, earlier: Sequence[str]) -> list[Wanted]:
    """Return the words of a question, and for a follow-up also those of the questions before it."""
    asked = [(term, 1.0) for term in terms(question)]
    own = {term.word for term, _ in asked}
    share = _EARLIER if asked else 1.0
    leaning = earlier if is_follow_up(question) else ()
    before = [(term, share) for text in leaning for term in terms(text) if term.word not in own]
    return [_known(index, term, share) for term, share in (asked + before)[:_WORDS_AT_MOST]]


def _known(index: Index, term: Term, share: float) -> Wanted:
    """Keep the stems that the index has; mend a word that it has in no form."""
    proofs = {word: proof for word, proof in term.stems.items() if word in index.counts}
    weight = term.weight
    if not proofs:
        near = set(_one_error_away(term.word))
        proofs = _mended(index, near)
        # "insted", "anwyay": mistyped words of little meaning must not pass for rare ones.
        weight = WEAK if near & (WEAK_WORDS | STOP_WORDS) and not proofs else weight
    own = stem(term.word)
    # A synonym makes a word no rarer than its most common form.
    count = index.counts[own] if own in proofs else max(map(index.counts.__getitem__, proofs), default=0)
    return Wanted(stems=proofs, worth=weight * share * index.rarity(count))


def _mended(index: Index, near: set[str]) -> dict[str, float]:
    """Return what the words ``near`` a mistyped one prove, their synonyms included."""
    proofs: dict[str, float] = {}
    for right in near & index.spellings:
        for word, proof in variants(right).items():
            if word in index.counts:
                proofs[word] = max(proofs.get(word, 0.0), _TYPO * proof)
    return proofs


def _one_error_away(word: str) -> Iterator[str]:
    """Yield all words one letter away, with the same first letter."""
    if len(word) < _TYPO_MINIMUM or not word.isascii() or not word.isalpha():
        return
    for place in range(1, len(word) + 1):
        before, after = word[:place], word[place:]
        yield from (before + letter + after for letter in _LETTERS)
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in _LETTERS)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
