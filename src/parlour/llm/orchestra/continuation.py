"""Joins what one model said with what the next one says, so that no word is repeated and none is lost.

A model that is asked to go on may do so exactly, or say everything again from the start, or repeat the last
sentence, the last words, or the word that was cut. What it repeats is a text that ends where the first one
ended. So its beginning is held back only while it still reads like a part of what was said; at the first
letter that differs everything is shown, and from then on all passes without delay.

The same letters can also be no repetition at all: "haha", "1 1 1", two equal lines of code. Whether what
comes again is taken away is decided by how unlikely it is that an author wrote it twice in a row: by how many
different words it has, and by the seam. "brown" after "the quick brown" without a space between them is a
repetition, since nobody writes "brownbrown"; a whole line after a whole line may well be meant. In doubt a
word is rather said twice than lost.
"""

import re
from bisect import insort

# Repetitions begin at the very start, or not farther back than this.
FARTHEST = 4_000
# Chinese, Japanese and Thai part no words, so any sign may begin one; they are looked at this far back.
FARTHEST_UNSPACED = 400
# So many different words nobody writes twice in a row.
PLENTY = 25

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SIGN = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(rf"[^\W\d_{_UNSPACED}]+")
# Where somebody who repeats may begin: at a word, with the marks that stand before it, and at any sign.
_BEGINNING = re.compile(rf"(?<!\S)\S|(?<!\w)\w|(?<=[{_UNSPACED}\u3000-\u303f\uff00-\uffef])\S|[{_UNSPACED}]")
_CODE = re.compile(r"[{}<>=`|\\]|\w[(\[]|;\n|_")
_PAUSE = re.compile(r"^(?:\s|\.\.\.|\u2026)+")
_END_OF_UNIT = ".!?\n\u3002\uff01\uff1f\u2026"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Beginnings of three and four letters that ordinary words double: assassin, bonbon, couscous, entente.
_DOUBLED = _set(
    """
    alf ass bar ber beri blah bon bom bora bye can cha chat cher choo chou chow chu cin cous dou dum ent foo
    fou frou glou gris han hip hula hush joj jou kus mar mur nou paw pom pooh pur qui quin ron sing tam tar
    tin tom tou tut wau wiki ya yada yak yum zum
    """
)
# Words of two letters that nobody doubles without a space.
_SMALL = _set("am an as at by el en es et if im in is it nu of on or se sy um un us we wo zu")


class Joiner:
    """Takes the words of a model that goes on from ``said``, and returns those that are new."""

    def __init__(self, said: str) -> None:
        """Expect a continuation of ``said``."""
        self.settled = not said
        """Everything that comes now is new: it need not be fed any more."""
        self._said = said
        self._held = ""
        self._open = _beginnings(said)
        self._matched: list[int] = []

    def feed(self, content: str) -> str:
        """Return what of the held text and of ``content`` is new and certain; perhaps nothing yet."""
        if self.settled:
            return content
        self._held += content
        return self._settle(ended=False)

    def end(self) -> str:
        """The model has said everything: return what was held back and is new."""
        return "" if self.settled else self._settle(ended=True)

    def _settle(self, *, ended: bool) -> str:
        held = self._held
        lead = _lead(held)
        text = held[lead:]
        if not text and not ended:
            return ""
        self._follow(text)
        if self._open and not ended:
            return ""  # it may still turn out to be a longer repetition
        for start in self._matched:
            # Who begins as the whole answer began, blanks included, adds none.
            added = lead > 0 and self._said[:start] != held[:lead]
            verdict = _is_repetition(self._said, start, text, lead=added, ended=ended)
            if verdict is None:
                return ""
            if verdict:
                return self._show(lead + len(self._said) - start)
        return self._show(0)

    def _show(self, skipped: int) -> str:
        held, self._held = self._held, ""
        self.settled = True
        return held[skipped:]

    def _follow(self, text: str) -> None:
        """Keep the beginnings that ``text`` still repeats; those that it repeats whole are matches."""
        said, length = self._said, len(self._said)
        still = []
        for start in self._open:
            if length - start > len(text):
                if said.startswith(text, start):
                    still.append(start)
            elif text.startswith(said[start:]):
                insort(self._matched, start)
        self._open = still


def _beginnings(said: str) -> list[int]:
    """Return where in ``said`` a repetition of its end may begin."""
    far = max(0, len(said) - FARTHEST)
    near = len(said) - FARTHEST_UNSPACED
    found = {
        match.start()
        for match in _BEGINNING.finditer(said, far)
        if match.start() >= near or not _SIGN.match(said, match.start())
    }
    first = len(said) - len(said.lstrip())
    found.add(first)
    return sorted(start for start in found if start < len(said))


def _lead(held: str) -> int:
    """Return how much stands before the first word: blanks and dots that a model may begin again with."""
    pause = _PAUSE.match(held)
    return pause.end() if pause else 0


def _is_repetition(said: str, start: int, text: str, *, lead: bool, ended: bool) -> bool | None:
    """Tell whether the beginning of ``text``, equal to ``said[start:]``, says that again.

    None asks for more of the text. ``lead`` says that blanks or dots stood before it.
    """
    again = said[start:]
    after = text[len(again) :]
    if not after and not ended:
        return None
    found = _WORD.findall(again.lower())
    letters = {letter for word in found for letter in word}
    signs = len(set(_SIGN.findall(again)))
    whole = not said[:start].strip()
    if _goes_round(said, start, again):
        return False
    if signs and len(set(found)) < 4:
        return signs + len(set(found)) >= (4 if whole and not lead else 8)
    if not lead and again[0].isalnum() and said[-1].isalnum():
        return _within_a_word(again, after, letters, whole=whole)
    if len(set(found)) >= PLENTY:
        return True
    once_more = _once_more(again, after, found, ended=ended)
    if once_more is not False:
        return None if once_more is None else False
    if lead:
        # With a blank before them, they might just be the same words meant twice.
        return len(set(found)) >= (10 if _CODE.search(again) else 4 if whole else 5)
    return _at_a_seam(said, start, again, after, set(found))


def _goes_round(said: str, start: int, again: str) -> bool:
    """Tell whether the text repeats itself there by nature, as in "haha" or in equal lines."""
    if again in (again + again)[1:-1]:
        return True
    before, end = said[:start].rstrip(), again.strip()
    common = 0
    while common < min(len(before), len(end)) and before[-common - 1] == end[-common - 1]:
        common += 1
    return common == len(end) or common >= max(10, len(end) // 2)


def _once_more(again: str, after: str, words: list[str], *, ended: bool) -> bool | None:
    """Tell whether it comes a third time, as in "again and again and again"; None asks for more text."""
    sample = words[0] if words and len(words) <= 3 else again.strip()[:16].lower()
    after = after.strip().lower()
    if len(after) < len(sample) and sample.startswith(after):
        return False if ended else None
    return after.startswith(sample)


def _within_a_word(again: str, after: str, letters: set[str], *, whole: bool) -> bool:
    """Judge a repetition that would stand right behind a letter: "brownbrown"."""
    word = again.lower()
    if not word.isalpha():
        return len(letters) >= 4 and len(word) >= 5
    if len(word) >= 3:
        return len(word) >= 5 or word not in _DOUBLED
    if word in _SMALL and not after[:1].isalnum():
        return True
    # "Th" and "The": a capital begins a word, not its second half.
    return whole and again[0].isupper() and after[:1].islower() and (len(again) == 1 or again[1:].islower())


def _at_a_seam(said: str, start: int, again: str, after: str, words: set[str]) -> bool:
    """Judge a repetition that could stand there by itself: behind a blank, a mark, the end of a line."""
    whole = not said[:start].strip()
    begins_line = whole or said[start - 1] == "\n"
    begins_unit = begins_line or said[:start].rstrip()[-1] in _END_OF_UNIT
    ends_unit = said.rstrip(" ")[-1:] in _END_OF_UNIT and (begins_unit or not again[0].islower())
    if "\n" in again.strip("\n") and begins_line and (whole or not said.endswith("\n")):
        least = 4  # nobody begins several lines anew in the middle of one
    elif _CODE.search(again):
        least = (3 if whole else 4) if begins_line and not ends_unit else 10
    elif ends_unit:
        least = 4 if whole else 5
    elif whole:
        # "The The": a capital where a sentence goes on.
        least = 1 if again[0].isupper() and after[:1].islower() else 2
    else:
        # "quick brown quick brown fox", but not "New York, New York".
        least = 2 if after[:1].isalpha() and sum(map(len, words)) >= 7 else 3
    return len(words) >= least
