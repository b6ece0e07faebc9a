"""What kind of task a message is (M-3): held to messages in seven languages, labelled by hand."""

import timeit
from collections import Counter
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm.orchestra.tasks import Task, task_of

LABELLED = [
    (Task(kind), text)
    for kind, mark, text in (
        line.partition("|")
        for line in Path(__file__).with_name("tasks.txt").read_text(encoding="utf-8").splitlines()
    )
    if mark and not kind.startswith("#")
]


def test_the_labelled_messages_are_many_of_each_kind() -> None:
    counts = Counter(kind for kind, _ in LABELLED)
    assert len(LABELLED) >= 120
    assert all(counts[kind] >= 30 for kind in Task)


def test_nearly_all_messages_are_told_apart() -> None:
    wrong = [(kind, task_of(text), text) for kind, text in LABELLED if task_of(text) is not kind]
    assert len(wrong) <= 0.03 * len(LABELLED), wrong
    # What is general may never be sent to a specialist by mistake of a single word.
    assert not [text for kind, _, text in wrong if kind is Task.GENERAL]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Hi",
        "12",
        "\N{WAVING HAND SIGN}",
        "Can you help me write an email to my landlord?",
        "What class are you in?",
        "Java is an island, which is the best time to go?",
        "Compare Python",
    ],
)
def test_what_is_in_doubt_is_general(text: str) -> None:
    assert task_of(text) is Task.GENERAL


def test_what_is_asked_after_a_long_text_counts() -> None:
    assert (
        task_of("A long tale without an end. " * 300 + "Now write a Python script and debug it.") is Task.CODE
    )


@given(st.text(max_size=300))
def test_anything_is_some_kind_of_task(text: str) -> None:
    assert task_of(text) in Task


def seconds(text: str) -> float:
    """The processor's time: others may be at work on this machine."""
    return min(timeit.repeat(lambda: task_of(text), number=50, repeat=5, timer=process_time)) / 50


def test_it_takes_microseconds_however_long_the_message_is() -> None:
    """Against 50 µs and 1 ms on a quiet machine; four times that is still no pause."""
    assert seconds("How long does the delivery of my order take, and may I change the address?") < 200e-6
    for hostile in (
        "a" * 10_000,
        " " * 10_000 + "x",
        "\n" * 10_000,
        "SELECT " * 1_500,
        "比较" * 5_000,
        "x();" * 2_500,
    ):
        assert seconds(hostile) < 4e-3, hostile[:10]
