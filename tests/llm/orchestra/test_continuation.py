"""A continuation never says a word twice, and never loses one (M-4, M-6)."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parlour.llm.orchestra.continuation import Joiner

PROSE = (
    'The quick brown fox jumps over the lazy dog. It had had enough of that that day, so it said "haha" '
    "and left for New York. There it found, among assassins and bonbons, a murmuring barbarian; the capital "
    "of France is Paris, of course. Years later everybody remembered how quietly the story had ended."
)
# What repeats itself by nature: nothing of it may be taken for a repetition.
ORDINARY = {
    "prose": PROSE,
    "numbers": "1 1 1 1 2 3 1 1 1 2020 100100 1000000 0.1010101 12 12 12, 3 3 3",
    "laughter": "haha hahaha hahahaha! ha ha ha, no no no, bye bye",
    "refrains": "again and again and again, over and over and over, step by step by step, New York New York!",
    "equal lines": (
        "Here you go:\n\n```python\nprint('a')\nprint('a')\nprint('a')\nfor i in range(3):\n    x = 1\n"
        "    x = 1\n"
        "self.assertEqual(result.status_code, 200)\nself.assertEqual(result.status_code, 200)\n```\nDone."
    ),
    "a table": "| a | b |\n|---|---|\n| 0 | 0 |\n| 0 | 0 |\n| 0 | 0 |\n- item\n- item\n- item\n",
    "JSON": '[{"name": "x", "age": 1},\n{"name": "x", "age": 1},\n{"name": "x", "age": 1}]',
    "a tree": '{"children": [{"children": [{"children": []}]}]}',
    "a dataclass": "class D:\n    id: str\n    document_id: str\n    document_title: str\n    title: str\n",
    "a song": (
        "We all live in a yellow submarine\nWe all live in a yellow submarine\nWe all live in a yellow "
        "submarine, yellow submarine\nRow, row, row your boat"
    ),
    "Chinese": "你好你好！谢谢谢谢。哈哈哈哈，研究研究，一个一个地来。"  # noqa: RUF001
    "人工智能是计算机科学的一个分支，它企图了解智能的实质。",  # noqa: RUF001
    "German": "Na gut. Na gut. Er sagte, dass das das Haus ist, in dem in dem Jahr Purpur wuchs. Kuckuck!",
    "French": "Il faut chercher le couscous; nous nous sommes vus. L'entente, le tamtam, le murmure.",
    "Arabic": "مرحبا بك في عالم البرمجة. شكرا شكرا جزيلا.",
}


def joined(said: str, spoken: str, size: int = 4) -> str:
    """What is shown of ``spoken``, which comes in pieces of ``size``, after ``said``."""
    joiner = Joiner(said)
    pieces = [spoken[at : at + size] for at in range(0, len(spoken), size)]
    return "".join([*(joiner.feed(piece) for piece in pieces), joiner.end()])


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_who_goes_on_exactly_loses_nothing(name: str, size: int) -> None:
    text = ORDINARY[name]
    for cut in range(len(text) + 1):
        assert joined(text[:cut], text[cut:], size) == text[cut:], text[:cut]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_who_says_everything_again_is_heard_from_where_the_first_one_broke_off(size: int) -> None:
    for cut in range(1, len(PROSE) + 1):
        assert joined(PROSE[:cut], PROSE, size) == PROSE[cut:], PROSE[:cut]


@pytest.mark.parametrize("before", ["\n\n", " ", "...", "\u2026 "])
def test_who_begins_again_with_a_blank_or_dots_is_known_all_the_same(before: str) -> None:
    cut = PROSE.index("over")
    assert joined(PROSE[:cut], before + PROSE) == PROSE[cut:]


@pytest.mark.parametrize("name", ["equal lines", "Chinese"])
def test_code_and_signs_said_again_are_known_once_there_are_a_few_of_them(name: str) -> None:
    text = ORDINARY[name]
    for cut in range(text.index("for i" if name == "equal lines" else "人工") + 8, len(text)):
        assert joined(text[:cut], text) == text[cut:], text[:cut]


@settings(deadline=None)
@given(cut=st.integers(1, len(PROSE)), words=st.integers(1, 30), size=st.integers(1, 12))
@example(cut=PROSE.index("brown") + 3, words=1, size=1)
def test_who_repeats_the_last_words_says_them_once(cut: int, words: int, size: int) -> None:
    said = PROSE[:cut]
    starts = [match.start() for match in re.finditer(r"\S+", said)]
    again = said[starts[-min(words, len(starts))] :]
    shown = joined(said, again + PROSE[cut:], size)

    assert shown.endswith(PROSE[cut:])
    different = {word.lower() for word in re.findall(r"[^\W\d]+", again)}
    if len(different) >= 5:
        assert shown == PROSE[cut:]


@pytest.mark.parametrize(
    ("said", "spoken", "shown"),
    [
        ("The capital of France is", "is Paris.", " Paris."),
        ("The capital of France is", "France is Paris.", " Paris."),
        ("The capital of Fran", "France is Paris.", "ce is Paris."),
        ("The capital of Fran", "ce is Paris.", "ce is Paris."),
        ("The quick brown ", "quick brown fox", "fox"),
        ("First. Then we went home to eat. ", "Then we went home to eat. It rained.", "It rained."),
        ("First. Then we went home to eat.", " Then we went home to eat. It rained.", " It rained."),
        ("Th", "The fox", "e fox"),
        ("The ", "The fox", "fox"),
        ('{"answer": "The cap', '{"answer": "The capital"}', 'ital"}'),
        ("**Bold** words matter", "**Bold** words matter most", " most"),
    ],
)
def test_what_a_reader_sees_is_joined_as_if_one_had_spoken(said: str, spoken: str, shown: str) -> None:
    assert joined(said, spoken) == shown


def test_new_words_pass_at_once() -> None:
    joiner = Joiner(PROSE)

    assert joiner.feed(" Z") == " Z"
    assert joiner.settled
    assert joiner.feed("The quick brown fox") == "The quick brown fox"


def test_an_answer_that_was_complete_gets_nothing_added() -> None:
    assert joined(PROSE, PROSE) == ""
    assert joined(PROSE, "") == ""


@given(said=st.text(max_size=200), spoken=st.text(max_size=200), size=st.integers(1, 9))
def test_whatever_comes_its_end_is_shown_whole(said: str, spoken: str, size: int) -> None:
    shown = joined(said, spoken, size)

    assert spoken.endswith(shown)
    skipped = spoken[: len(spoken) - len(shown)]
    assert said.endswith(skipped.lstrip(" \n\t.\u2026")) or skipped.strip() in said
