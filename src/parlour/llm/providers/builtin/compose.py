"""An answer made of quotations: which sentences of which passages, in reading order, each with its source.

Pure and deterministic. Nothing is said that does not stand in a passage.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from parlour.llm.markdown import has_fence
from parlour.llm.providers.builtin.reading import Unit, is_item, read
from parlour.llm.tokens import estimate_tokens
from parlour.llm.words import Term, is_follow_up, stems, terms
from parlour.vocabulary.citation import Passage

# How well the best passage must fit before it is quoted. Chosen on benchmarks/answers and on questions that
# no guide can answer: at this value 93 % of CLINC150's, 82 % of Banking77's (of accounts, fees and transfers)
# and 92 % of those of XQuAD whose article is missing stay unanswered, and 96 % of those of XQuAD whose
# article is there do not.
ENOUGH = 0.5

# What the order of the passages counts against their cover of the question.
_PLACE = 0.9

# A further passage speaks only if it fits nearly as well and covers so much of what was not covered yet.
_FURTHER_PASSAGES = 2
_FURTHER_SHARE = 0.75
_FURTHER_GAIN = 0.15

# Below this fit even the best passage may be the wrong one: a second that fits as well is quoted beside it.
_UNSURE = 0.95
_UNSURE_SHARE = 0.8

# What a unit's place in its passage counts beside its words.
_EARLY = 0.3

# Of a list that answers with some of its items only those are quoted that come near to the best.
_LONG_LIST = 4
_ITEM_SHARE = 0.4

# What a word of an earlier question weighs in a follow-up; everything, if the follow-up has none of its own.
_EARLIER = 0.4


@dataclass(frozen=True, slots=True)
class _Allowance:
    """Characters: a passage up to ``whole`` is quoted whole, of a longer one units up to ``chosen``."""

    whole: int
    chosen: int


_FIRST = _Allowance(whole=700, chosen=500)
_FURTHER = _Allowance(whole=250, chosen=250)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; ``sources`` are numbered in it from 1. ``cut``: there was more to say than allowed."""

    text: str
    sources: tuple[Passage, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Quotation:
    """Units of one passage that were chosen, in reading order."""

    passage: Passage
    units: tuple[Unit, ...]


def compose(
    question: str, earlier: Sequence[str], passages: Sequence[Passage], *, max_tokens: int | None = None
) -> Answer | None:
    """Return an answer from ``passages``, best first, or None if they don't answer the question."""
    wanted = _wanted(question, earlier)
    speakers = _speakers(passages, wanted)
    if not speakers:
        return None
    readings = [read(passage.text) for passage in speakers]
    rarity = _rarities(wanted, [unit for units in readings for unit in units])
    quotations: list[_Quotation] = []
    said: set[str] = set()
    for passage, units in zip(speakers, readings, strict=True):
        first = passage is speakers[0] or _continues(speakers[0], passage)
        allowed = _FIRST if first else _FURTHER
        worths = [_worth(unit, wanted, rarity) for unit in units]
        chosen = [unit for unit in _choose(units, worths, allowed) if unit.text not in said]
        said.update(unit.text for unit in chosen)
        if chosen:
            quotations.append(_Quotation(passage, tuple(chosen)))
    return _written(quotations, max_tokens) if quotations else None


def _wanted(question: str, earlier: Sequence[str]) -> list[Term]:
    """Return the terms of the question, and of a follow-up also those of the questions before it."""
    own = list(terms(question))
    if not is_follow_up(question):
        return own
    known = {term.word for term in own}
    share = _EARLIER if own else 1.0
    return own + [
        replace(term, weight=term.weight * share)
        for text in earlier
        for term in terms(text)
        if term.word not in known
    ]


def _speakers(passages: Sequence[Passage], wanted: list[Term]) -> list[Passage]:
    """Return the passages to quote from: the best that fits, and those that have something to add."""
    fits = [(passage, _fit(passage, wanted)) for passage in passages]
    # Further down in the list a passage must cover more of the question to speak first.
    lead = max(range(len(fits)), key=lambda place: fits[place][1] * _PLACE**place, default=0)
    in_order = [*fits[lead : lead + 1], *fits[:lead], *fits[lead + 1 :]]
    fitting = [entry for entry in in_order if entry[1] >= ENOUGH]
    if not fitting:
        return []
    (first, fit), *others = fitting
    speakers = [first]
    heard = _words(first)
    for place, (passage, other) in enumerate(others):
        words = _words(passage)
        gain = _coverage(wanted, heard | words) - _coverage(wanted, heard)
        adds = other >= fit * _FURTHER_SHARE and gain >= _FURTHER_GAIN
        if len(speakers) <= _FURTHER_PASSAGES and (adds or (place == 0 and _continues(first, passage))):
            speakers.append(passage)
            heard |= words
    if len(speakers) == 1 and fit < _UNSURE:
        speakers += [passage for passage, other in others if other >= fit * _UNSURE_SHARE][:1]
    return speakers


def _continues(introduction: Passage, passage: Passage) -> bool:
    """Tell whether the passage given next says what the introduction of its document only announces."""
    return passage.document_id == introduction.document_id and len(introduction.title_path) == 1


def _words(passage: Passage) -> set[str]:
    return set(stems(" ".join((passage.document_title, *passage.title_path, passage.text))))


def _coverage(wanted: list[Term], words: set[str]) -> float:
    whole = sum(term.weight for term in wanted)
    return sum(term.weight * _proof(term, words) for term in wanted) / whole if whole else 0.0


def _fit(passage: Passage, wanted: list[Term]) -> float:
    """Return how much of the question a passage covers, 0 to 1: as its finder judged, else by itself."""
    return passage.score if passage.score > 0 else _coverage(wanted, _words(passage))


def _proof(term: Term, words: set[str]) -> float:
    return max((proof for word, proof in term.stems.items() if word in words), default=0.0)


def _rarities(wanted: list[Term], units: list[Unit]) -> dict[str, float]:
    """Return for each wanted word how much it tells one unit from another."""
    words = [set(stems(unit.text)) for unit in units]
    counts = {term.word: sum(1 for found in words if _proof(term, found)) for term in wanted}
    return {word: math.log(1 + len(units) / (count + 0.5)) for word, count in counts.items()}


def _worth(unit: Unit, wanted: list[Term], rarity: dict[str, float]) -> float:
    words = set(stems(unit.text))
    return sum(term.weight * rarity[term.word] * _proof(term, words) for term in wanted)


def _choose(units: list[Unit], worths: list[float], allowed: _Allowance) -> list[Unit]:
    """Choose units: all of a short passage, else the worthiest, each with what it can't do without."""
    off_topic = _off_topic_items(units, worths)
    if sum(len(unit.text) for unit in units) <= allowed.whole:
        return [unit for place, unit in enumerate(units) if place not in off_topic]
    # A section usually says first what matters most.
    best = max(worths) or 1.0
    values = [worth + _EARLY * best * (len(units) - place) / len(units) for place, worth in enumerate(worths)]
    order = sorted(range(len(units)), key=lambda place: values[place], reverse=True)
    chosen: set[int] = set()
    length = 0
    for place in order:
        needed = _with_company(units, place) - chosen
        cost = sum(len(units[other].text) for other in needed)
        if chosen and length + cost > allowed.chosen:
            continue
        chosen |= needed
        length += cost
    return [units[place] for place in sorted(chosen - off_topic)]


def _off_topic_items(units: list[Unit], worths: list[float]) -> set[int]:
    """Return the items of long lists that have nothing to do with the question, where others have."""
    places = [place for place, unit in enumerate(units) if unit.kind == "item"]
    off_topic: set[int] = set()
    for _, group in groupby(places, key=lambda place: units[place].block):
        items = list(group)
        best = max(worths[place] for place in items)
        if len(items) >= _LONG_LIST and best > 0:
            off_topic |= {place for place in items if worths[place] < best * _ITEM_SHARE}
    return off_topic


def _with_company(units: list[Unit], place: int) -> set[int]:
    """Return the places that must be quoted along: an announcement and what it announces."""
    company = {place}
    first = place
    while first > 0 and units[first - 1].block == units[place].block and units[place].kind == "item":
        first -= 1
    if units[place].kind != "sentence" and first > 0 and units[first - 1].announces:
        company.add(first - 1)
    if units[place].announces and place + 1 < len(units):
        following = units[place + 1].block
        company |= {other for other in range(place + 1, len(units)) if units[other].block == following}
    return company


def _written(quotations: list[_Quotation], max_tokens: int | None) -> Answer:
    """Write the quotations as Markdown, each unit with its number, as far as ``max_tokens`` allow."""
    paragraphs: list[str] = []
    sources: list[Passage] = []
    for quotation in quotations:
        number = len(sources) + 1
        written = _paragraphs(quotation, f"[{number}]")
        for paragraph in written:
            if max_tokens is not None and estimate_tokens("\n\n".join([*paragraphs, paragraph])) > max_tokens:
                return Answer("\n\n".join(paragraphs), tuple(sources), cut=True)
            if len(sources) < number:
                sources.append(quotation.passage)
            paragraphs.append(paragraph)
    return Answer("\n\n".join(paragraphs), tuple(sources))


def _paragraphs(quotation: _Quotation, marker: str) -> list[str]:
    written: list[str] = []
    if quotation.units[0].kind != "sentence":
        # A list or a command says little without the heading that it stood under.
        written.append(f"**{quotation.passage.title_path[-1]}** {marker}")
    for (kind, _), group in groupby(quotation.units, key=lambda unit: (unit.kind, unit.block)):
        units = list(group)
        if kind == "sentence":
            written.append(" ".join(f"{unit.text} {marker}" for unit in units))
        elif kind == "item":
            written.append("\n".join(_marked_item(unit.text, marker) for unit in units))
        else:
            written.extend(unit.text for unit in units)
    return written


def _marked_item(text: str, marker: str) -> str:
    """Put the marker behind the item's own first line, unless code or deeper items follow it there."""
    first, *rest = text.split("\n")
    prose = [line for line in rest if line.strip()]
    if any(has_fence(line) or is_item(line) for line in prose):
        return "\n".join([f"{first} {marker}", *rest])
    return f"{text.rstrip()} {marker}"
