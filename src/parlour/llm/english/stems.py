"""The stem of an English word: irregular forms and British spelling first, then Martin Porter's algorithm.

The algorithm is that of 1980 with his two later amendments (*logi*, *bli*), the same as in the ``porter``
tokenizer of SQLite's FTS5. Ours exists because the words of a question must also be compared with the words
of single sentences, where there is no FTS5, and because people ask what "broke" and was "sent".
"""

import re
from functools import lru_cache
from itertools import pairwise

# Base form, then the forms that no ending gives away.
_IRREGULAR = {
    form: base
    for base, *forms in (
        line.split()
        for line in """
        become became
        begin began begun
        big bigger biggest
        break broke broken
        bring brought
        build built
        buy bought
        dark darker darkest
        cheap cheaper cheapest
        choose chose chosen
        come came
        do does did done
        draw drew drawn
        drive drove driven
        eat ate eaten
        fall fell fallen
        fast faster fastest
        feel felt
        find found
        forget forgot forgotten
        freeze froze frozen
        get got gotten
        give gave given
        go goes went gone
        grow grew grown
        hang hung
        hear heard
        hide hid hidden
        hold held
        keep kept
        know knew known
        leave left
        large larger largest
        long longer longest
        lose lost
        make made
        mean meant
        meet met
        pay paid
        quick quicker quickest
        run ran
        say said
        see saw seen
        sell sold
        send sent
        show shown
        short shorter shortest
        simple simpler simplest
        slow slower slowest
        small smaller smallest
        speak spoke spoken
        spend spent
        stand stood
        steal stole stolen
        take took taken
        teach taught
        tell told
        think thought
        throw threw thrown
        understand understood
        wake woke woken
        wear wore worn
        not cannot cant couldnt didnt doesnt dont hasnt havent isnt never wasnt wont wouldnt arent no
        win won
        write wrote written
        person people
        child children
        pdf pdfs
        index indices indexes
        """.strip().splitlines()
    )
    for form in forms
}
# Not plurals, whatever they end in: "https" is not several "http".
_AS_THEY_ARE = frozenset({"https", "dns", "tls", "css", "sms", "aws", "ios", "macos"})
_BRITISH = (
    (re.compile(r"(?<=...)is(e|ed|es|ing|ation|ations|er|ers)$"), r"iz\1"),
    (re.compile(r"(?<=...)our(s|ed|ing)?$"), r"or\1"),
)

_VOWELS = frozenset("aeiou")

# Each rule is (ending, what replaces it); within a step the longest ending that fits decides.
_STEP_2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"),
    ("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"),
    ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive"),
    ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"),
    ("logi", "log"),
)  # fmt: skip
_STEP_3 = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""),
    ("ness", ""),
)  # fmt: skip
_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ou", "ism", "ate",
    "iti", "ous", "ive", "ize", "ion",
)  # fmt: skip


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the stem of a lower-case word; words of other alphabets, with digits or very short stay."""
    if len(word) < 3 or word in _AS_THEY_ARE or not (word.isascii() and word.isalpha()):
        return word
    word = _IRREGULAR.get(word) or _american(word)
    word = _step_1c(_step_1b(_step_1a(word)))
    word = _replace(_replace(word, _STEP_2), _STEP_3)
    return _step_5(_step_4(word))


def _american(word: str) -> str:
    for spelling, other in _BRITISH:
        word = spelling.sub(other, word)
    return word


def _consonant(word: str, place: int) -> bool:
    letter = word[place]
    if letter in _VOWELS:
        return False
    return letter != "y" or place == 0 or not _consonant(word, place - 1)


def _measure(word: str) -> int:
    """Count the changes from vowel to consonant: Porter's m."""
    kinds = [_consonant(word, place) for place in range(len(word))]
    return sum(1 for before, after in pairwise(kinds) if after and not before)


def _has_vowel(word: str) -> bool:
    return any(not _consonant(word, place) for place in range(len(word)))


def _ends_double(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _consonant(word, len(word) - 1)


def _ends_short(word: str) -> bool:
    """Tell whether the word ends consonant, vowel, consonant with the last not w, x or y (``hop``)."""
    if len(word) < 3 or word[-1] in "wxy":
        return False
    last = len(word) - 1
    return _consonant(word, last) and not _consonant(word, last - 1) and _consonant(word, last - 2)


def _step_1a(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def _step_1b(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        if word.endswith(ending):
            rest = word[: -len(ending)]
            return _mend(rest) if _has_vowel(rest) else word
    return word


def _mend(rest: str) -> str:
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if _ends_double(rest) and rest[-1] not in "lsz":
        return rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _ends_short(rest) else rest


def _step_1c(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and _has_vowel(word[:-1]) else word


def _replace(word: str, rules: tuple[tuple[str, str], ...]) -> str:
    fitting = [rule for rule in rules if word.endswith(rule[0])]
    if not fitting:
        return word
    ending, other = max(fitting, key=lambda rule: len(rule[0]))
    rest = word[: -len(ending)]
    return rest + other if _measure(rest) > 0 else word


def _step_4(word: str) -> str:
    fitting = [ending for ending in _STEP_4 if word.endswith(ending)]
    if not fitting:
        return word
    ending = max(fitting, key=len)
    rest = word[: -len(ending)]
    if _measure(rest) <= 1 or (ending == "ion" and not rest.endswith(("s", "t"))):
        return word
    return rest


def _step_5(word: str) -> str:
    if word.endswith("e"):
        rest = word[:-1]
        if _measure(rest) > 1 or (_measure(rest) == 1 and not _ends_short(rest)):
            word = rest
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word
