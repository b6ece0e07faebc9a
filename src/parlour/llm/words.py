"""The words of a question and of a text, brought to a form in which they can be compared.

Pure functions: case, accents and endings are taken off, phrasal verbs become one word, and a word of a
question carries its general synonyms. Nothing here knows any document.
"""

import re
import unicodedata
from dataclasses import dataclass

from parlour.llm.english.everyday import EVERYDAY
from parlour.llm.english.phrases import PHRASES
from parlour.llm.english.related import RELATED
from parlour.llm.english.stems import stem
from parlour.llm.english.synonyms import GROUPS

# A run of letters and digits; Chinese, Japanese and Thai write no spaces, so there each sign is a word.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_INNER_APOSTROPHE = re.compile(r"(?<=\w)['\u2019](?=\w)")

# "Discord" in "our Discord server", "WordPress" anywhere; but not "How" at the beginning.
_NAME = re.compile(r"(?<=[\w,;)] )[A-Z]\w+|\b[A-Za-z]+[a-z][A-Z]\w*")

# What a synonym and what a related word proves, beside the word itself: less, because synonyms are true in
# general, not always.
SYNONYM = 0.65
RELATED_WORD = 0.45


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that only hold a sentence together.
STOP_WORDS = _words(
    """
    a about above after all also am an and any are  as at be because been before being below both but
    by can   could  d did  do does  doing  down each else for from had has
     have  having he hello her here hers hey hi him his how hows i id if ill im in into is  it
    its itself ive just let lets ll m may maybe me might mine most must my myself need  nor  of off oh ok
    okay on once onto or our ours out over per please s shall she should so some such t than thank thanks that
    thats the their theirs them then there theres these they this those through to too under until up us ve
    very via was  we were what whats when where wheres whether which while who whom whose why will with
     would  yes you your yours
    """
)

# Words that say little about what is asked; they count, but a little.
WEAK_WORDS = _words(
    """
    not able absolutely actually again ago almost already altogether always another anybody anyhow anymore
    anyone anything anyway anywhere apparently around aside away back bad basically become behind besides
    best better between big both certain certainly clearly come completely constantly correctly couple
    currently day definitely different directly easily easy either else enough entirely especially etc
    even ever every everybody everyone exactly far few finally first fully general generally get give go
    good great guess guy half happen happy hard hardly help hour however idea immediately instead into
    keep kind know last lately later least less like likely little long look lot make manner many mean
    middle minute moment more much myself near nearly new next nice nobody none normal
    normally nothing now obviously often old one only other others otherwise ourselves own part
    particular particularly people perhaps person place please possible possibly pretty probably problem
    properly put quick quickly quite rather ready really recently rest right same say second see seem
    several shortly simple simply since slightly small somebody somehow someone something sometimes
    somewhere soon sort stay still straight such sudden suddenly suppose sure surely take tell thing
    think though time today together tomorrow tonight totally toward try turn two under unfortunately
    unless upon use used user using usual usually want way week well whatever whewhole within
    without wonder wondering work worse worth would year yesterday yet
    """
)
WEAK = 0.35

# What may stand inside a phrasal verb: "look things up".
_BETWEEN = WEAK_WORDS | _words(
    "it them this that me us him her these those my our your the a an its their some"
)
_WEAK_STEMS = frozenset(map(stem, WEAK_WORDS))
_EVERYDAY_STEMS = frozenset(map(stem, EVERYDAY))
_BEGINNINGS = frozenset(first for first, _ in PHRASES)


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a question: the stems that count as it, each with what it proves, and its own weight."""

    word: str
    stems: dict[str, float]
    weight: float = 1.0


def tokens(text: str) -> list[str]:
    """Return the words of ``text`` in order: folded, without accents, not yet stemmed."""
    plain = text if text.isascii() else _without_accents(text)
    return _TOKEN.findall(_INNER_APOSTROPHE.sub("", plain).casefold())


def stems(text: str) -> list[str]:
    """Return the stems of all words of ``text`` in order."""
    return [stem(token) for token in tokens(text)]


def text_stems(text: str) -> list[str]:
    """Return the stems of a text as :func:`stems`, and after them those of its phrases made one word."""
    words = tokens(text)
    return [stem(word) for word in words] + [stem(word) for word in _joined(words)]


def telling_stems(text: str) -> frozenset[str]:
    """Return the stems of a heading or title, phrases made one word, without the words that say little."""
    found = frozenset(stem(word) for word in _join_phrases(tokens(text)) if word not in STOP_WORDS)
    # "It does not start" is told from "Start it" by just that word.
    return found - (_WEAK_STEMS - {"not"})


def terms(question: str) -> tuple[Term, ...]:
    """Return the words of a question that say what is asked, each once, in order."""
    found: dict[str, Term] = {}
    for word in _join_phrases(tokens(question)):
        if word in STOP_WORDS or (len(word) == 1 and word.isascii()):
            continue
        found.setdefault(stem(word), _term(word))
    return tuple(found.values())


def names(text: str) -> frozenset[str]:
    """Return the words that are written as names: with a capital inside a sentence, or inside the word."""
    found = [match.group() for match in _NAME.finditer(text)]
    shouted = text.upper() == text
    return frozenset() if shouted else frozenset(word for name in found for word in tokens(name))


def is_follow_up(question: str) -> bool:
    """Tell whether a question leans on the ones before it: it begins with "and", or says very little."""
    words = tokens(question)
    if words[:1] in (["and"], ["but"], ["or"], ["also"]) or words[:2] in (
        ["what", "about"],
        ["how", "about"],
    ):
        return True
    return sum(term.weight == 1.0 for term in terms(question)) <= 1 and len(words) <= 6


def variants(word: str) -> dict[str, float]:
    """Return the stems that count as ``word``, its own and those of its synonyms, with what each proves."""
    own = stem(word)
    return {
        **dict.fromkeys(_RELATED.get(own, ()), RELATED_WORD),
        **dict.fromkeys(_SYNONYMS.get(own, ()), SYNONYM),
        own: 1.0,
    }


def is_common(word: str) -> bool:
    """Tell whether ``word`` is one of the English words listed here, and therefore no typing error."""
    return word in STOP_WORDS or word in WEAK_WORDS or word in LISTED or is_everyday(word)


def is_everyday(word: str) -> bool:
    """Tell whether any text may go without ``word`` and still be about what it is used to ask."""
    return word.isdecimal() or stem(word) in _EVERYDAY_STEMS


def _term(word: str) -> Term:
    return Term(word=word, stems=variants(word), weight=WEAK if stem(word) in _WEAK_STEMS else 1.0)


def _join_phrases(words: list[str]) -> list[str]:
    """Make one word of a phrasal verb, also around a small word: ``turned it off`` is ``disable``."""
    joined: list[str] = []
    place = 0
    while place < len(words):
        whole, length = _phrase(words, place)
        joined.append(whole or words[place])
        place += length
    return joined


def _joined(words: list[str]) -> list[str]:
    """Return only the words that phrases come to."""
    return [whole for whole, _ in (_phrase(words, place) for place in range(len(words))) if whole]


def _phrase(words: list[str], place: int) -> tuple[str, int]:
    """Return what the phrase at ``place`` comes to and how many words it takes, or nothing and 1."""
    if stem(words[place]) in _BEGINNINGS:
        for length in (2, 3, 4):
            part = words[place : place + length]
            whole = PHRASES.get((stem(part[0]), part[-1])) if len(part) == length else None
            if whole and _BETWEEN.issuperset(part[1:-1]):
                return whole, length
    return "", 1


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _leads_to(lines: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Turn lines into: stem of the first word → stems of the others."""
    led: dict[str, set[str]] = {}
    for line in lines:
        first, *others = map(stem, line.split())
        led.setdefault(first, set()).update(others)
    return {first: frozenset(others) for first, others in led.items()}


def _others_by_stem(groups: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Turn groups of words into: stem → stems of the others; a word may stand in several groups."""
    others: dict[str, set[str]] = {}
    for group in groups:
        members = {stem(word) for word in group.split()}
        for member in members:
            others.setdefault(member, set()).update(members - {member})
    return {member: frozenset(rest) for member, rest in others.items()}


_SYNONYMS = _others_by_stem(GROUPS)
_RELATED = _leads_to(RELATED)
LISTED = frozenset(word for group in (*GROUPS, *RELATED) for word in group.split())
