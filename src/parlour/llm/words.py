"""The words of a question and of a text, brought to a form in which they can be compared.

Pure functions: case, accents and endings are taken off, phrasal verbs become one word, and a word of a
question carries its general synonyms. Nothing here knows any document.
"""

import re
import unicodedata
from dataclasses import dataclass

from parlour.llm.stems import stem
from parlour.llm.synonyms import GROUPS, PHRASES

# A run of letters and digits; Chinese, Japanese and Thai write no spaces, so there each sign is a word.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_INNER_APOSTROPHE = re.compile(r"(?<=\w)['\u2019](?=\w)")

# What a synonym proves, beside the word itself: less, because synonyms are true in general, not always.
SYNONYM = 0.7


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that only hold a sentence together.
STOP_WORDS = _words(
    """
    a about above after all also am an and any are arent as at be because been before being below both but
    by can cannot cant could couldnt d did didnt do does doesnt doing dont down each else for from had has
    hasnt have havent having he hello her here hers hey hi him his how hows i id if ill im in into is isnt it
    its itself ive just let lets ll m may maybe me might mine most must my myself need no nor not of off oh ok
    okay on once onto or our ours out over per please s shall she should so some such t than thank thanks that
    thats the their theirs them then there theres these they this those through to too under until up us ve
    very via was wasnt we were what whats when where wheres whether which while who whom whose why will with
    wont would wouldnt yes you your yours
    """
)

# Words that say little about what is asked; they count, but a little.
WEAK_WORDS = _words(
    """
    able absolutely actually again ago almost already altogether always another anybody anyhow anymore
    anyone anything anyway anywhere apparently around aside away back bad basically become behind besides
    best better between big both certain certainly clearly come completely constantly correctly couple
    currently day definitely different directly easily easy either else enough entirely especially etc
    even ever every everybody everyone exactly far few finally first fully general generally get give go
    good great guess guy half happen happy hard hardly help hour however idea immediately instead into
    keep kind know last lately later least less like likely little long look lot make manner many mean
    middle minute moment more much myself name near nearly never new next nice nobody none normal
    normally nothing now obviously often old one only other others otherwise ourselves own part
    particular particularly people perhaps person place please possible possibly pretty probably problem
    properly put quick quickly quite rather ready really recently rest right same say second see seem
    several shortly simple simply since slightly small somebody somehow someone something sometimes
    somewhere soon sort stay still straight such sudden suddenly suppose sure surely take tell thing
    think though time today together tomorrow tonight totally toward try turn two under unfortunately
    unless upon use used user using usual usually want way week well whatever whenever whole within
    without wonder wondering work worse worth would year yesterday yet
    """
)
WEAK = 0.35

# What may stand inside a phrasal verb: "look things up".
_BETWEEN = WEAK_WORDS | _words("it them this that me us him her these those my our your")
_WEAK_STEMS = frozenset(map(stem, WEAK_WORDS))


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


def telling_stems(text: str) -> frozenset[str]:
    """Return the stems of a heading or title without the words that say little."""
    return frozenset(stem(token) for token in tokens(text) if token not in STOP_WORDS) - _WEAK_STEMS


def terms(question: str) -> tuple[Term, ...]:
    """Return the words of a question that say what is asked, each once, in order."""
    found: dict[str, Term] = {}
    for word in _join_phrases(tokens(question)):
        if word in STOP_WORDS or (len(word) == 1 and word.isascii()):
            continue
        found.setdefault(stem(word), _term(word))
    return tuple(found.values())


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
    return {**dict.fromkeys(_SYNONYMS.get(own, ()), SYNONYM), own: 1.0}


def _term(word: str) -> Term:
    return Term(word=word, stems=variants(word), weight=WEAK if stem(word) in _WEAK_STEMS else 1.0)


def _join_phrases(words: list[str]) -> list[str]:
    """Make one word of a phrasal verb, also around a small word: ``turned it off`` is ``disable``."""
    joined: list[str] = []
    place = 0
    while place < len(words):
        for length in (2, 3):
            pair = words[place : place + length]
            whole = PHRASES.get((stem(pair[0]), pair[-1])) if len(pair) == length else None
            if whole and (length == 2 or pair[1] in _BETWEEN):
                joined.append(whole)
                place += length
                break
        else:
            joined.append(words[place])
            place += 1
    return joined


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _synonyms_by_stem() -> dict[str, frozenset[str]]:
    """Turn the groups into: stem → stems of the others; a word may stand in several groups."""
    others: dict[str, set[str]] = {}
    for group in GROUPS:
        members = {stem(word) for word in group.split()}
        for member in members:
            others.setdefault(member, set()).update(members - {member})
    return {member: frozenset(rest) for member, rest in others.items()}


_SYNONYMS = _synonyms_by_stem()
