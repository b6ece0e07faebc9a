"""Patterns of the owner, matched in time that grows with the length of the text, whatever both say.

Python's own expressions try alternatives one after the other, so a careless pattern can take minutes for a
line that somebody writes on purpose. Here all patterns walk through the text together, once: a set of places
where each of them may be. What the set does next is remembered, so that usually one look-up per character is
all. For this, patterns have no back-references and no look-around. They never mind upper and lower case.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from parlour.features.moderation.rules.syntax import Node, PatternError, Reader, Test, is_word

LONGEST_PROGRAM: Final = 5_000  # steps of all patterns together: with none remembered, the cost per character
_MOST_REMEMBERED: Final = 20_000

_EDGE, _WORD, _OTHER = range(3)  # what stands on one side of a place between two characters


class _Step(NamedTuple):
    """One step of a program: take a character, go on at one of several steps, look around, or be done."""

    test: Test | None = None
    goes: tuple[int, ...] = ()
    around: str = ""
    rule: int = -1


class _State:
    """The steps where patterns may be, after some character; and what came of the characters seen next.

    The empty one is the end of the text.
    """

    def __init__(self, places: frozenset[int], before: int) -> None:
        self.places = places
        self.before = before
        self.next: dict[str, tuple[_State, frozenset[int]]] = {}


class Patterns:
    """Several patterns as one machine. Each is told apart by its place among them."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Read ``patterns``. Raises PatternError for one that cannot be read, or when all are too long."""
        self._steps: list[_Step] = []
        self._starts: list[int] = []
        for rule, pattern in enumerate(patterns):
            writer = _Writer(self._steps)
            self._starts.append(writer.write(Reader(pattern).read(), rule))
            if len(self._steps) > LONGEST_PROGRAM:
                raise PatternError("the patterns are too long together; write fewer or shorter ones")
            if rule in self._closed(frozenset([self._starts[rule]]), _OTHER, _OTHER)[1]:
                raise PatternError(
                    "it also matches nothing at all; write at least one character that must be there"
                )
        self._begin = _State(frozenset(self._starts), _EDGE)
        self._states: dict[tuple[frozenset[int], int], _State] = {}
        self._remembered = 0

    def __bool__(self) -> bool:
        """Tell whether there is any pattern."""
        return bool(self._starts)

    def found_in(self, text: str) -> frozenset[int]:
        """Return which of the patterns match somewhere in ``text``."""
        if not self._starts:
            return frozenset()
        state, found = self._begin, frozenset[int]()
        for character in text:
            state, matched = state.next.get(character) or self._go(state, character)
            if matched:
                found |= matched
        if "" not in state.next:
            state.next[""] = state, self._closed(state.places, state.before, _EDGE)[1]
        return found | state.next[""][1]

    def spans(self, text: str, rules: frozenset[int]) -> list[tuple[int, int]]:
        """Return every stretch of ``text`` that is covered by matches of ``rules``, in order."""
        starts = [self._starts[rule] for rule in sorted(rules)]
        places: dict[int, int] = {}  # a step, and where the longest match that has come to it began
        covered: list[tuple[int, int]] = []
        before = _EDGE
        for position in range(len(text) + 1):
            character = text[position : position + 1]
            after = _kind(character)
            for start in starts:
                places.setdefault(start, position)
            reached = self._reached(places, before, after)
            ends = [begun for step, begun in reached.items() if self._steps[step].rule in rules]
            if ends and min(ends) < position:
                _cover(covered, min(ends), position)
            places = {}
            for step, begun in reached.items():
                test = self._steps[step].test
                if test is not None and character and test(character):
                    places[step + 1] = begun
            before = after
        return covered

    def _go(self, state: _State, character: str) -> tuple[_State, frozenset[int]]:
        after = _kind(character)
        places, matched = self._closed(state.places, state.before, after)
        following = {
            place + 1 for place in places if (test := self._steps[place].test) is not None and test(character)
        }
        key = (frozenset(following | set(self._starts)), after)
        self._remembered += 1
        if self._remembered > _MOST_REMEMBERED:
            self._forget()
        reached = self._states.get(key)
        if reached is None:
            reached = self._states[key] = _State(*key)
        state.next[character] = reached, matched
        return reached, matched

    def _forget(self) -> None:
        for state in (self._begin, *self._states.values()):
            state.next.clear()
        self._states.clear()
        self._remembered = 0

    def _closed(self, places: frozenset[int], before: int, after: int) -> tuple[set[int], frozenset[int]]:
        """Return the steps that are reached without taking a character, and the patterns that are done."""
        reached = self._reached(dict.fromkeys(places, 0), before, after)
        return set(reached), frozenset(rule for step in reached if (rule := self._steps[step].rule) >= 0)

    def _reached(self, places: dict[int, int], before: int, after: int) -> dict[int, int]:
        """Return the steps reached without taking a character, each with the earliest of its beginnings."""
        reached: dict[int, int] = {}
        for first, begun in sorted(places.items(), key=lambda place: place[1]):
            waiting = [first]
            while waiting:
                place = waiting.pop()
                if place in reached:
                    continue
                reached[place] = begun
                step = self._steps[place]
                if not step.around or _holds(step.around, before, after):
                    waiting += step.goes
        return reached


def _kind(character: str) -> int:
    if not character:
        return _EDGE
    return _WORD if is_word(character) else _OTHER


def _holds(around: str, before: int, after: int) -> bool:
    match around:
        case "^":
            return before == _EDGE
        case "$":
            return after == _EDGE
        case "b":
            return (before == _WORD) != (after == _WORD)
        case _:
            return (before == _WORD) == (after == _WORD)


def _cover(covered: list[tuple[int, int]], start: int, end: int) -> None:
    while covered and covered[-1][1] >= start:
        start = min(start, covered.pop()[0])
    covered.append((start, end))


class _Writer:
    """Writes a pattern as steps; each step that takes a character goes on at the next one."""

    def __init__(self, steps: list[_Step]) -> None:
        self._steps = steps

    def write(self, node: Node, rule: int) -> int:
        start = len(self._steps)
        self._write(node)
        self._add(_Step(rule=rule))
        return start

    def _add(self, step: _Step) -> int:
        if len(self._steps) > LONGEST_PROGRAM:
            raise PatternError("it is too long; repeat less")
        self._steps.append(step)
        return len(self._steps) - 1

    def _write(self, node: Node) -> None:
        match node.kind:
            case "one":
                self._add(_Step(test=node.test))
            case "around":
                place = self._add(_Step())
                self._steps[place] = _Step(goes=(place + 1,), around=node.around)
            case "all":
                for part in node.parts:
                    self._write(part)
            case "any":
                self._either(node)
            case _:
                self._repeat(node)

    def _either(self, node: Node) -> None:
        fork = self._add(_Step())
        begins, ends = [], []
        for part in node.parts:
            begins.append(len(self._steps))
            self._write(part)
            ends.append(self._add(_Step()))
        self._steps[fork] = _Step(goes=tuple(begins))
        for end in ends:
            self._steps[end] = _Step(goes=(len(self._steps),))

    def _repeat(self, node: Node) -> None:
        part = node.parts[0]
        for _ in range(node.least):
            self._write(part)
        if node.most is None:
            fork = self._add(_Step())
            self._write(part)
            back = self._add(_Step())
            self._steps[back] = _Step(goes=(fork,))
            self._steps[fork] = _Step(goes=(fork + 1, len(self._steps)))
            return
        forks = []
        for _ in range(node.most - node.least):
            forks.append(self._add(_Step()))
            self._write(part)
        for fork in forks:
            self._steps[fork] = _Step(goes=(fork + 1, len(self._steps)))
