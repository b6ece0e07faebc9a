"""Moderation of what comes in, what is looked up and what goes out (M-10).

Local rules ask nobody. A provider is asked where the owner wants it; when it cannot be reached the owner's
word decides, open or closed. What is off costs nothing.

An answer passes it in this order: ``check_input`` of the message, ``check_passages`` of what was looked up,
the model inside :class:`~parlour.features.moderation.masking.model.Masked` if there is a ``masker``, each
piece of its text through ``guard_output``, and ``record`` of all that was found.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, Protocol

import structlog

from parlour.features.moderation import store
from parlour.features.moderation.apart import apart
from parlour.features.moderation.masking.masker import Masker
from parlour.features.moderation.masking.model import Masked
from parlour.features.moderation.masking.personal import Kind
from parlour.features.moderation.output import OutputGuard
from parlour.features.moderation.rules.cues import InjectionCues, KeyCues
from parlour.features.moderation.rules.own import OwnRules
from parlour.features.moderation.values import (
    TAKEN_OUT,
    About,
    Action,
    Finding,
    MaskReceipt,
    Stage,
    Verdict,
)
from parlour.infra.storage.database import WORKER, Database
from parlour.llm.model import Model
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import FieldError, InvalidInput, NotFound, ProviderError
from parlour.vocabulary.ids import is_id
from parlour.vocabulary.principal import Principal

UNREACHABLE: Final = "provider: unreachable"
PERSONAL_DATA: Final = "personal data"
# After so many calls in a row without a judgement nobody waits for the next ones, for so long.
_FAILURES_AT_MOST: Final = 3
_PAUSE_SECONDS: Final = 15.0
# A provider judges a long text as a whole, and less well; and it takes so much in one piece.
_LONGEST_PIECE: Final = 8_000
_PIECES_AT_ONCE: Final = 32  # in one question to the provider
_EXCERPT: Final = 200  # characters before and after what was found

_log = structlog.get_logger(__name__)


class Moderator(Protocol):
    """A provider that judges texts."""

    async def check(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the categories of each text. Raises ProviderError when there is no judgement."""
        ...


class _Rules(Protocol):
    """Something that finds what must not be in a text."""

    def found_in(self, text: str) -> list[str]:
        """Return the names of the rules that ``text`` breaks."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What the owner wants done: at each stage, by whom, and when nobody can judge."""

    input: Action = Action.OFF
    retrieved: Action = Action.OFF
    output: Action = Action.OFF
    asks_provider: frozenset[Stage] = frozenset()
    closed: bool = False
    """Whether what the provider could not judge counts as broken rules."""
    hold: bool = False
    cues: bool = True
    masks: frozenset[Kind] = frozenset()
    input_refusal: str = ""
    output_refusal: str = ""

    def action(self, stage: Stage) -> Action:
        """Return what is done at a stage."""
        return {Stage.INPUT: self.input, Stage.RETRIEVED: self.retrieved, Stage.OUTPUT: self.output}[stage]


class Moderation:
    """Judges, masks, and keeps what was found."""

    def __init__(
        self,
        *,
        policy: Policy,
        database: Database,
        rules: OwnRules | None = None,
        moderator: Moderator | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Judge by the owner's ``rules`` and, where the policy says so, by ``moderator``.

        A moderator that needs a running event loop can be set later.
        """
        self._policy = policy
        self._database = database
        self._rules = rules or OwnRules()
        self._injection: tuple[_Rules, ...] = (InjectionCues(),) if policy.cues else ()
        self.moderator = moderator
        self._clock = clock
        self._failures = 0
        self._paused_until = 0.0

    @property
    def checks_input(self) -> bool:
        """Tell whether messages are judged at all."""
        return self._policy.input is not Action.OFF

    def masker(self) -> Masker | None:
        """Return what masks one prompt and its answer, None when nothing is masked."""
        return Masker(self._policy.masks) if self._policy.masks else None

    def masked(self, model: Model) -> Model:
        """Return ``model`` as one that gets no personal data to see, for one prompt."""
        masker = self.masker()
        return model if masker is None else Masked(model, masker)

    async def masked_texts(self, texts: Sequence[str]) -> Sequence[str]:
        """Return texts that get no answer, and so nothing to put back, as they may leave the server."""
        masker = self.masker()
        if masker is None:
            return texts
        return await apart(sum(map(len, texts)), lambda: [masker.mask(text) for text in texts])

    async def check_input(self, *texts: str) -> Verdict:
        """Judge what a person brings, each text by itself, before anything is made of it."""
        action = self._policy.input
        if action is Action.OFF or not texts:
            return Verdict(Action.OFF, texts)
        size = sum(map(len, texts))
        named = await apart(size, lambda: [self._rules.found_in(text) for text in texts])
        if any(named) and action is Action.BLOCK:
            return self._refused(texts, named)
        judged = await self._judge(Stage.INPUT, texts)
        broken = [[*names, *categories] for names, categories in zip(named, judged, strict=True)]
        if any(judged) and action is not Action.FLAG:
            return self._refused(texts, broken)
        if not any(broken):
            return Verdict(Action.OFF, texts)
        findings = _findings(Stage.INPUT, chain.from_iterable(broken), action)
        excerpt = self._excerpt(texts, broken)
        if action is Action.MASK:
            texts = await apart(size, lambda: tuple(map(self._mended, texts, named)))
        return Verdict(action, texts, findings, excerpt=excerpt)

    def recalled(self, text: str) -> str:
        """Return an earlier message of the person as a model may see it now."""
        if self._policy.input is not Action.MASK or not self._rules.found_in(text):
            return text
        return _without(text, [self._rules])

    async def check_passages(
        self, passages: Sequence[Passage]
    ) -> tuple[tuple[Passage, ...], tuple[Finding, ...]]:
        """Return the passages that a model may see, and what was found in those left out or mended."""
        action = self._policy.retrieved
        if action is Action.OFF or not passages:
            return tuple(passages), ()
        judged = await self._judge(Stage.RETRIEVED, [passage.text for passage in passages])
        rules = (self._rules, *self._injection)
        kept, findings = [], dict[str, Finding]()
        for passage, categories in zip(passages, judged, strict=True):
            names = [name for each in rules for name in each.found_in(passage.text)]
            drop = (names and action is Action.BLOCK) or (categories and action is not Action.FLAG)
            done = Action.BLOCK if drop else action
            for finding in _findings(Stage.RETRIEVED, [*names, *categories], done):
                findings.setdefault(finding.rule, finding)
            if not drop:
                mend = bool(names) and action is Action.MASK
                kept.append(replace(passage, text=_without(passage.text, rules)) if mend else passage)
        return tuple(kept), tuple(findings.values())

    def guard_output(
        self, *, said: str = "", heard: Iterable[str] = (), masker: Masker | None = None
    ) -> OutputGuard | None:
        """Return what watches an answer, None when answers are not judged.

        ``said`` is what the reply has shown already; ``heard`` are the person's own messages, whose keys the
        answer may repeat; ``masker`` masks what is sent to the provider to be judged.
        """
        if self._policy.output is Action.OFF:
            return None
        rules: list[_Rules] = [self._rules]
        if self._policy.cues:
            rules.append(KeyCues(tuple(heard)))

        async def judge(texts: Sequence[str]) -> list[tuple[str, ...]]:
            return await self._judge(Stage.OUTPUT, texts, masker)

        return OutputGuard(
            action=self._policy.output,
            rules=lambda text: [name for each in rules for name in each.found_in(text)],
            take_out=lambda text: _without(text, rules),
            refusal=self._policy.output_refusal,
            judge=judge if self._asks(Stage.OUTPUT) else None,
            hold=self._policy.hold,
            said=said,
        )

    async def record(
        self, about: About, findings: Sequence[Finding], receipt: MaskReceipt | None = None
    ) -> None:
        """Keep what was found, and what was masked, for review. Finding nothing costs nothing."""
        findings = [*findings, *([_receipt_finding(receipt)] if receipt else [])]
        if not findings:
            return
        now = datetime.now(UTC)
        await self._database.write(
            WORKER, lambda connection: store.record(connection, about, findings, now=now)
        )

    async def blocked_messages(self, session_id: str) -> frozenset[str]:
        """Return the ids of a session's messages that were blocked: no model is to see them later either."""
        if self._policy.input is Action.OFF:
            return frozenset()
        return await self._database.read(
            WORKER, lambda connection: store.blocked_messages(connection, session_id)
        )

    async def flags(
        self,
        *,
        before: str | None,
        limit: int,
        stage: Stage | None = None,
        action: Action | None = None,
        reviewed: bool | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of flags, newest first, and the cursor of the next one."""
        if before is not None and not is_id(before):
            raise _foreign_cursor()
        return await self._database.read(
            WORKER,
            lambda connection: store.listed(
                connection, before=before, limit=limit, stage=stage, action=action, reviewed=reviewed
            ),
        )

    async def review(self, principal: Principal, flag_id: str, *, reviewed: bool) -> dict[str, Any]:
        """Say that ``principal`` has looked at a flag, or that it is open again. Raises NotFound."""
        if not is_id(flag_id):
            raise NotFound
        by, at = (principal.person_id, datetime.now(UTC)) if reviewed else (None, None)
        return await self._database.write(
            principal, lambda connection: store.review(connection, flag_id, by=by, at=at)
        )

    def _refused(self, texts: tuple[str, ...], broken: Sequence[Sequence[str]]) -> Verdict:
        findings = _findings(Stage.INPUT, chain.from_iterable(broken), Action.BLOCK)
        excerpt = self._excerpt(texts, broken)
        return Verdict(Action.BLOCK, texts, findings, self._policy.input_refusal, excerpt)

    def _mended(self, text: str, names: Sequence[str]) -> str:
        return _without(text, [self._rules]) if names else text

    def _excerpt(self, texts: Sequence[str], broken: Sequence[Sequence[str]]) -> str:
        """Return what stands around the first thing that was found; a provider names no place."""
        text = next(text for text, names in zip(texts, broken, strict=True) if names)
        place = next((start for start, _ in self._rules.spans(text)), 0)
        return text[max(0, place - _EXCERPT) : place + _EXCERPT]

    def _asks(self, stage: Stage) -> bool:
        return self.moderator is not None and stage in self._policy.asks_provider

    async def _judge(
        self, stage: Stage, texts: Sequence[str], masker: Masker | None = None
    ) -> list[tuple[str, ...]]:
        """Return what the provider objects to in each text; nothing where it is not asked."""
        if self.moderator is None or stage not in self._policy.asks_provider:
            return [()] * len(texts)
        masker = masker or self.masker()
        pieces = await apart(
            sum(map(len, texts)),
            lambda: [
                (place, masker.mask(piece) if masker else piece)
                for place, text in enumerate(texts)
                for piece in _pieces(text)
            ],
        )
        judged: list[dict[str, None]] = [{} for _ in texts]
        unknown = (UNREACHABLE,) if self._policy.closed else ()
        if self._clock() < self._paused_until:
            return [unknown] * len(texts)
        try:
            answers = [
                answer
                for start in range(0, len(pieces), _PIECES_AT_ONCE)
                for answer in await self.moderator.check(
                    [piece for _, piece in pieces[start : start + _PIECES_AT_ONCE]]
                )
            ]
        except ProviderError as error:
            self._failed(stage, error)
            return [unknown] * len(texts)
        self._failures = 0
        for (place, _), categories in zip(pieces, answers, strict=True):
            judged[place] |= dict.fromkeys(f"provider: {category}" for category in categories)
        return [tuple(each) for each in judged]

    def _failed(self, stage: Stage, error: ProviderError) -> None:
        _log.warning("moderation_unreachable", stage=stage.value, code=error.code, cause=error.cause)
        self._failures += 1
        if self._failures >= _FAILURES_AT_MOST:
            self._paused_until = self._clock() + _PAUSE_SECONDS


def _findings(stage: Stage, names: Iterable[str], action: Action) -> tuple[Finding, ...]:
    return tuple(Finding(stage, name, action) for name in dict.fromkeys(names))


def _receipt_finding(receipt: MaskReceipt) -> Finding:
    return Finding(Stage.INPUT, PERSONAL_DATA, Action.MASK, receipt.counts)


def _without(text: str, rules: Iterable[_Rules]) -> str:
    """Return ``text`` with a mark in place of whatever breaks the rules."""
    for each in rules:
        pieces, done = [], 0
        for start, end in each.spans(text):
            if start >= done:
                pieces += [text[done:start], TAKEN_OUT]
            done = max(done, end)
        text = "".join([*pieces, text[done:]])
    return text


def _foreign_cursor() -> InvalidInput:
    return InvalidInput(FieldError("cursor", "This cursor is not one of ours.", "cursor"))


def _pieces(text: str) -> list[str]:
    whole = text.strip()
    return [whole[start : start + _LONGEST_PIECE] for start in range(0, len(whole), _LONGEST_PIECE)]
