"""An answer is watched sentence by sentence while it streams; what must not stand is taken back (M-10)."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parlour.features.moderation.output import LONGEST_SENTENCE, Judge, OutputGuard
from parlour.features.moderation.values import TAKEN_OUT, Action, GuardEvent, Retract, Say

pytestmark = pytest.mark.anyio

REFUSAL = "Let us talk about something else."
GOOD, BAD = "It is open on Sundays. ", "This is awful. "


def guard(
    action: Action = Action.BLOCK,
    *,
    judge: Judge | None = None,
    hold: bool = False,
    said: str = "",
    rule: str = "awful",
) -> OutputGuard:
    """Return a guard to whom "awful" is against the rules."""
    return OutputGuard(
        action=action,
        rules=lambda text: [f"own: {rule}"] if rule in text else [],
        take_out=lambda text: text.replace("awful", TAKEN_OUT),
        refusal=REFUSAL,
        judge=judge,
        hold=hold,
        said=said,
    )


class Provider:
    """Judges when a test lets it; "cruel" is against its rules."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()

    async def judge(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        self.asked.append(list(texts))
        await self.may_answer.wait()
        return [("provider: hate",) if "cruel" in text else () for text in texts]


class Reader:
    """Holds what a client would show, and everything it ever showed."""

    def __init__(self, shown: str = "") -> None:
        self.shown = shown
        self.seen = {shown}
        self.retractions = 0

    def hear(self, events: list[GuardEvent]) -> None:
        for event in events:
            if isinstance(event, Say):
                assert event.text, "an empty piece of text is none"
                self.shown += event.text
            else:
                assert isinstance(event, Retract)
                assert event.length < len(self.shown), "takes back something"
                self.shown = self.shown[: event.length]
                self.retractions += 1
            self.seen.add(self.shown)


async def relay(watching: OutputGuard, pieces: Sequence[str], shown: str = "") -> Reader:
    """Send an answer through a guard as a turn does."""
    reader = Reader(shown)
    with watching:
        for piece in pieces:
            reader.hear(watching.feed(piece))
            if watching.over:
                return reader
        reader.hear(await watching.end())
    return reader


def cut(text: str, places: list[int]) -> list[str]:
    inner = sorted(place % (len(text) + 1) for place in places)
    return [text[start:end] for start, end in zip([0, *inner], [*inner, len(text)], strict=True)]


CUTS = st.lists(st.integers(0, 1_000), max_size=12)
SENTENCES = st.lists(
    st.sampled_from([GOOD, "Ja! ", "没问题。", "x" * 700 + " ", "- one\n", "\n\n", "3.14 is π "]), max_size=5
)


@settings(max_examples=200, deadline=None)
@given(SENTENCES, CUTS, st.booleans())
def test_a_good_answer_is_shown_as_it_is(sentences: list[str], places: list[int], hold: bool) -> None:  # noqa: FBT001
    text = "".join(sentences)
    reader = asyncio.run(relay(guard(hold=hold), cut(text, places)))
    assert reader.shown == text
    assert reader.retractions == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([GOOD, "Ja! ", "没问题。", "- one\n"]), max_size=5), SENTENCES, CUTS)
def test_a_bad_sentence_is_taken_back_wherever_the_stream_is_cut(
    before: list[str], after: list[str], places: list[int]
) -> None:
    """At most one retraction; what stood before the sentence stays, nothing after it is said."""
    first, watching = "".join(before), guard()
    reader = asyncio.run(relay(watching, cut(first + BAD + "".join(after), places)))
    assert reader.shown == (f"{first}\n\n{REFUSAL}" if first else REFUSAL)
    assert reader.retractions <= 1
    assert [finding.rule for finding in watching.findings] == ["own: awful"]


@settings(max_examples=100, deadline=None)
@given(SENTENCES, CUTS)
def test_a_bad_sentence_that_is_held_is_never_seen(before: list[str], places: list[int]) -> None:
    reader = asyncio.run(relay(guard(hold=True), cut("".join([*before, "\n", BAD, GOOD]), places)))
    assert not [text for text in reader.seen if "awful" in text]
    assert reader.retractions == 0
    assert reader.shown.endswith(REFUSAL)


async def test_a_piece_is_shown_up_to_the_bad_sentence_in_it() -> None:
    reader = await relay(guard(), [GOOD + BAD + GOOD])
    assert reader.shown == f"{GOOD}\n\n{REFUSAL}"
    assert reader.retractions == 0


async def test_the_length_counts_from_the_beginning_of_the_whole_reply() -> None:
    """A run that was taken up again says on; what its former owner showed counts."""
    watching = guard(said=f"{GOOD}This is ")
    with watching:
        assert watching.feed("quite awf") == [Say("quite awf")]
        assert watching.feed("ul. ") == [Retract(len(GOOD)), Say(f"\n\n{REFUSAL}")]


async def test_what_a_former_owner_showed_is_judged_with_the_rest() -> None:
    """The former owner may have died while the provider was still judging what it had shown."""
    provider = Provider()
    provider.may_answer.set()
    with guard(judge=provider.judge, said=f"{GOOD}A cruel thing. And th") as watching:
        assert watching.feed("en more. ") == [Say("en more. ")]
        assert await watching.end() == [Retract(len(GOOD)), Say(f"\n\n{REFUSAL}")]
    assert provider.asked == [[GOOD, "A cruel thing. ", "And then more. "]]


async def test_rules_find_what_a_former_owner_showed_also_when_nothing_more_comes() -> None:
    with guard(said=f"{GOOD}{BAD}And th") as watching:
        assert await watching.end() == [Retract(len(GOOD)), Say(f"\n\n{REFUSAL}")]
    with guard(said=f"{GOOD}{BAD}And th") as watching:
        assert watching.broke_off() == [Retract(len(GOOD)), Say(f"\n\n{REFUSAL}")]


async def test_what_was_held_has_been_judged() -> None:
    provider = Provider()
    provider.may_answer.set()
    with guard(judge=provider.judge, hold=True, said=GOOD) as watching:
        watching.feed("And more. ")
        assert await watching.end() == [Say("And more. ")]
    assert provider.asked == [["And more. "]]


async def test_an_answer_that_a_former_owner_ended_goes_no_further() -> None:
    with guard(said=f"{GOOD}\n\n{REFUSAL}") as watching:
        assert watching.over
        assert watching.feed("And another thing. ") == []
        assert await watching.end() == []


async def test_lengths_are_code_points() -> None:
    hello = "\U0001f600\U0001f600. "
    with guard() as watching:
        watching.feed(hello)
        watching.feed("awful")
        assert (await watching.end())[0] == Retract(4)


async def test_the_last_sentence_needs_no_full_stop() -> None:
    reader = await relay(guard(), ["It is aw", "ful"])
    assert reader.shown == REFUSAL
    assert reader.retractions == 1


async def test_an_answer_that_broke_off_in_a_bad_sentence_does_not_keep_it() -> None:
    with guard() as watching:
        watching.feed(f"{GOOD}This is awful")
        assert watching.broke_off() == [Retract(len(GOOD)), Say(f"\n\n{REFUSAL}")]
    with guard() as watching:
        watching.feed(f"{GOOD}This is")
        assert watching.broke_off() == []
    with guard(hold=True) as watching:
        watching.feed("This is awful")
        assert watching.broke_off() == [], "what is held is not shown"


async def test_to_flag_is_only_to_write_it_down() -> None:
    watching = guard(Action.FLAG)
    reader = await relay(watching, [GOOD, BAD, BAD])
    assert reader.shown == GOOD + BAD + BAD
    assert [(finding.rule, finding.action) for finding in watching.findings] == [("own: awful", Action.FLAG)]


async def test_to_mask_is_to_hold_and_take_out() -> None:
    reader = await relay(guard(Action.MASK), [GOOD, "This is aw", "ful. ", GOOD])
    assert reader.shown == f"{GOOD}This is {TAKEN_OUT}. {GOOD}"
    assert not [text for text in reader.seen if "aw" in text]


@pytest.mark.parametrize("rule", ["awful", "quite awful indeed"])
async def test_a_sentence_without_end_is_judged_in_parts_and_nothing_slips_between(rule: str) -> None:
    long = "word " * (LONGEST_SENTENCE // 5)
    for shift in range(30):
        watching = guard(rule=rule)
        text = long[: LONGEST_SENTENCE - 30 + shift] + f" {rule} " + long
        reader = await relay(watching, [text[place : place + 7] for place in range(0, len(text), 7)])
        assert reader.shown.endswith(REFUSAL), shift


async def test_a_provider_judges_in_the_background() -> None:
    """The stream does not wait; what the provider says is heard with the next piece."""
    provider = Provider()
    with guard(judge=provider.judge) as watching:
        reader = Reader()
        reader.hear(watching.feed(f"{GOOD}A cruel thing. "))
        await until(lambda: bool(provider.asked))
        reader.hear(watching.feed("And more. "))
        reader.hear(watching.feed("And more"))
        assert reader.shown == f"{GOOD}A cruel thing. And more. And more"
        provider.may_answer.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reader.hear(watching.feed(" to come. "))
        assert watching.over
    assert reader.shown == f"{GOOD}\n\n{REFUSAL}"
    assert [finding.rule for finding in watching.findings] == ["provider: hate"]
    assert provider.asked == [[GOOD, "A cruel thing. "]]


async def test_sentences_that_end_meanwhile_are_one_question() -> None:
    provider = Provider()
    with guard(judge=provider.judge) as watching:
        watching.feed("One. ")
        await until(lambda: len(provider.asked) == 1)
        watching.feed("Two. ")
        watching.feed("Three. ")
        watching.feed("Fo")
        watching.feed("ur")
        provider.may_answer.set()
        assert await watching.end() == []
    assert provider.asked == [["One. "], ["Two. ", "Three. ", "Four"]]


async def test_the_end_waits_for_the_last_judgement() -> None:
    provider = Provider()
    with guard(judge=provider.judge) as watching:
        assert watching.feed("A cruel") == [Say("A cruel")]
        ending = asyncio.ensure_future(watching.end())
        await until(lambda: bool(provider.asked))
        assert not ending.done()
        provider.may_answer.set()
        assert await ending == [Retract(0), Say(REFUSAL)]


async def test_held_sentences_come_when_the_provider_has_passed_them() -> None:
    provider = Provider()
    with guard(judge=provider.judge, hold=True) as watching:
        assert watching.feed(GOOD) == []
        await until(lambda: bool(provider.asked))
        provider.may_answer.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert watching.feed("A cruel thing. ") == [Say(GOOD)]
        assert await watching.end() == [Say(f"\n\n{REFUSAL}")]


async def test_what_nobody_judged_does_not_stay_when_a_later_sentence_goes() -> None:
    provider = Provider()
    with guard(judge=provider.judge) as watching:
        watching.feed("A cruel thing. ")
        await until(lambda: bool(provider.asked))
        assert watching.feed(BAD) == [Retract(0), Say(REFUSAL)]


async def test_a_judgement_nobody_waits_for_is_let_go() -> None:
    provider = Provider()
    with guard(judge=provider.judge) as watching:
        watching.feed(GOOD)
        await until(lambda: bool(provider.asked))
        asking = [task for task in asyncio.all_tasks() if "judge" in repr(task)]
    assert asking
    with pytest.raises(asyncio.CancelledError):
        await asking[0]


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks work until something holds."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to it")
