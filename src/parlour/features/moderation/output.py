"""Watches an answer sentence by sentence while it streams, and takes a bad one back (M-10).

Text is shown at once, or with ``hold`` when its sentence has passed. Local rules judge a sentence when it
ends. A provider judges it in the background: what it says is heard with the next piece of text, at the latest
at the end, so the stream never waits in between. The first sentence that must not stand is the last one: it
is taken back, the owner's friendly sentence is said, and the answer is over.
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from parlour.features.moderation.values import (
    Action,
    Finding,
    GuardEvent,
    Retract,
    Say,
    Stage,
)

# Longer than this is no sentence: a table, or a model that has lost its way. It is judged in parts.
LONGEST_SENTENCE: Final = 600
# A rule that begins in one part of such a "sentence" and ends in the next is still found.
_OVERLAP: Final = 80
_SENTENCE_END = re.compile(r"[.!?…][\"'”\u2019»)\]*_`]{0,4}\s+|[。\uff01\uff1f][”\u2019」』\uff09]{0,2}|\n+")
_LOOK_BACK: Final = 8  # an end may have begun in the piece before

FindRules = Callable[[str], list[str]]
TakeOut = Callable[[str], str]
Judge = Callable[[Sequence[str]], Awaitable[list[tuple[str, ...]]]]
"""Return the names of the rules that each text breaks; never raises."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence that has ended; ``start`` is its place in the reply, ``before`` what it may go on from."""

    text: str
    start: int
    before: str = ""


class _End(NamedTuple):
    """Where a sentence ends; not ``real`` where it is only parted for its length."""

    place: int
    real: bool


class OutputGuard:
    """Judges one answer. Used in ``with``, it lets go at the end of a judgement that nobody waits for."""

    def __init__(
        self,
        *,
        action: Action,
        rules: FindRules,
        take_out: TakeOut,
        refusal: str,
        judge: Judge | None = None,
        hold: bool = False,
        said: str = "",
    ) -> None:
        """Do ``action`` about what ``rules`` and ``judge`` find in ``said``, shown before, and after it.

        What was shown is judged once more: whoever had this answer before may have died while a provider was
        judging it. Nothing can be masked that was shown, so to ``mask`` is to hold; and what was held has
        been judged.
        """
        self._action = action
        self._rules = rules
        self._take_out = take_out
        self._refusal = refusal
        self._judge = judge
        self._hold = hold or action is Action.MASK
        self._shown = len(said)
        self._open = "" if self._hold else said
        self._start = len(said) - len(self._open)
        self._before = ""
        self._searched = 0
        self._unjudged: deque[_Sentence] = deque()
        self._asked: list[_Sentence] = []
        self._asking: asyncio.Task[list[tuple[str, ...]]] | None = None
        self._findings: dict[str, Finding] = {}
        # Whoever had this answer before may have ended it so, and died before that was written down.
        self.over = bool(refusal) and said.endswith(refusal)

    def __enter__(self) -> "OutputGuard":
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of a judgement that is still being made."""
        if self._asking is not None:
            self._asking.cancel()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found so far, each rule once."""
        return tuple(self._findings.values())

    def feed(self, text: str) -> list[GuardEvent]:
        """Take a piece of the answer; return what to show and what to take back.

        When ``over`` is true afterwards the answer has ended: filtered, its last words are the refusal.
        """
        if self.over:
            return []
        events = self._heard()
        if self.over:
            return events
        self._open += text
        for sentence in self._ended():
            events += self._judged(sentence, text)
            if self.over:
                return events
        if not self._hold and text:
            self._shown += len(text)
            events.append(Say(text))
        self._ask()
        return events

    async def end(self) -> list[GuardEvent]:
        """Judge what is left, and wait for the judgements that are still being made."""
        events = [] if self.over else self._judge_rest()
        while not self.over and (self._asked or self._unjudged):
            self._ask()
            if self._asking is not None:
                await asyncio.wait([self._asking])  # a judge raises nothing, and knows its own time limit
            events += self._heard()
        return events

    def broke_off(self) -> list[GuardEvent]:
        """Judge, by local rules alone, the sentence in which an answer was stopped or failed."""
        return [] if self.over or self._hold else self._judge_rest()

    def _judge_rest(self) -> list[GuardEvent]:
        events: list[GuardEvent] = []
        for sentence in self._ended():  # of what was said before, if nothing came after it
            events += self._judged(sentence, "")
            if self.over:
                return events
        last = _Sentence(self._open, self._start, self._before)
        self._open = ""
        return [*events, *(self._judged(last, "") if last.text else [])]

    def _ended(self) -> Iterator[_Sentence]:
        while (end := self._next_end()) is not None:
            sentence = _Sentence(self._open[: end.place], self._start, self._before)
            self._open = self._open[end.place :]
            self._start += end.place
            self._before = "" if end.real else sentence.text[-_OVERLAP:]
            self._searched = 0
            yield sentence

    def _next_end(self) -> _End | None:
        match = _SENTENCE_END.search(self._open, max(0, self._searched - _LOOK_BACK))
        if match is not None and match.end() <= LONGEST_SENTENCE:
            return _End(match.end(), real=True)
        if len(self._open) < LONGEST_SENTENCE:
            self._searched = len(self._open)
            return None
        space = self._open.rfind(" ", LONGEST_SENTENCE // 2, LONGEST_SENTENCE)
        return _End(space + 1 or LONGEST_SENTENCE, real=False)

    def _judged(self, sentence: _Sentence, arrived: str) -> list[GuardEvent]:
        """Judge by local rules; ``arrived`` is what came with the sentence's end and was not shown yet."""
        names = self._rules(sentence.before + sentence.text) if sentence.text.strip() else []
        self._note(names, self._action)
        if names and self._action is Action.BLOCK:
            return self._refuse(sentence.start, arrived)
        if names and self._action is Action.MASK:
            sentence = replace(sentence, text=self._take_out(sentence.text))
        if self._judge is None:
            return self._pass(sentence)
        self._unjudged.append(sentence)
        return []

    def _pass(self, sentence: _Sentence) -> list[GuardEvent]:
        if not self._hold:
            return []  # it is shown already, or about to be
        self._shown += len(sentence.text)
        return [Say(sentence.text)]

    def _ask(self) -> None:
        """Have everything judged that has ended since the last question: one question at a time."""
        if self._judge is not None and self._asking is None and self._unjudged:
            self._asked = list(self._unjudged)
            self._unjudged.clear()
            judging = self._judge([sentence.text for sentence in self._asked])
            self._asking = asyncio.ensure_future(judging)

    def _heard(self) -> list[GuardEvent]:
        """Act on judgements that have come since."""
        if self.over or self._asking is None or not self._asking.done():
            return []
        verdicts, asked = self._asking.result(), self._asked
        self._asking, self._asked = None, []
        events: list[GuardEvent] = []
        for sentence, names in zip(asked, verdicts, strict=True):
            # What the provider objects to has no place in the sentence that could be masked.
            action = Action.FLAG if self._action is Action.FLAG else Action.BLOCK
            self._note(names, action)
            if names and action is Action.BLOCK:
                return [*events, *self._refuse(sentence.start)]
            events += self._pass(sentence)
        return events

    def _note(self, names: Sequence[str], action: Action) -> None:
        for name in names:
            self._findings.setdefault(name, Finding(Stage.OUTPUT, name, action))

    def _refuse(self, start: int, arrived: str = "") -> list[GuardEvent]:
        """End the answer before ``start``, and before anything that nobody has judged."""
        self.over = True
        start = min([start, *(sentence.start for sentence in (*self._asked, *self._unjudged))])
        self._asked.clear()
        self._unjudged.clear()
        events: list[GuardEvent] = []
        if not self._hold and start > self._shown:
            events.append(Say(arrived[: start - self._shown]))
            self._shown = start
        elif not self._hold and start < self._shown:
            events.append(Retract(start))
            self._shown = start
        events.append(Say(f"\n\n{self._refusal}" if self._shown else self._refusal))
        return events
