"""Personal data: what is found, what stands in its place, and that it comes back whole (M-10, B-8)."""

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parlour.features.moderation.masking.masker import Masker
from parlour.features.moderation.masking.personal import Kind, find, kinds_named
from parlour.features.moderation.masking.windows import WINDOW
from tests.moderation.labels import labelled, quality

MAIL, IBAN, CARD = "ada@example.com", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111"
PHONE, IP, KEY = "+49 30 1234567", "203.0.113.42", "sk-proj-Ab12Cd34Ef56Gh78Ij90"
VALUES = {
    Kind.EMAIL: MAIL,
    Kind.IBAN: IBAN,
    Kind.CARD: CARD,
    Kind.PHONE: PHONE,
    Kind.IP: IP,
    Kind.KEY: KEY,
}

# Texts that bring up what matters here more often than chance would.
PIECES = st.sampled_from(
    [*VALUES.values(), *" \n,[]", "[e-mail 1]", "[E-MAIL 2]", "[text 1]", "[key", " 1]", "[phone "]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join)


@pytest.mark.parametrize("kind", VALUES)
def test_a_long_text_is_searched_in_windows_and_nothing_slips_between(kind: Kind) -> None:
    value = VALUES[kind]
    for shift in range(-len(value) - 1, 2):
        before = "word " * (WINDOW // 5) + " " * 5
        text = f"{before[: WINDOW + shift]} {value} {'word ' * WINDOW}"
        start = WINDOW + shift + 1
        assert find(text) == [(start, start + len(value), kind)]


def test_a_value_longer_than_what_windows_share_is_taken_whole() -> None:
    key = f"sk-proj-1{'a1' * WINDOW}"
    assert find(f"{'word ' * 1_000}{key} and more") == [(5_000, 5_000 + len(key), Kind.KEY)]


def test_what_is_marked_is_found_and_nothing_else() -> None:
    """Precision and recall on texts in 15 languages, by exact place and kind."""
    texts = list(labelled("labelled_lines.txt"))
    assert len(texts) >= 150
    counted = quality(texts)
    assert counted.precision >= 0.99, counted.mistakes
    assert counted.recall >= 0.99, counted.mistakes


def test_it_holds_on_texts_that_nobody_tuned_for() -> None:
    counted = quality(list(labelled("unseen_lines.txt")))
    assert counted.precision >= 0.95, counted.mistakes
    assert counted.recall >= 0.95, counted.mistakes


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_a_placeholder_of_its_own(kind: Kind) -> None:
    masker = Masker()
    text = f"It is {VALUES[kind]} as I said."
    assert masker.mask(text) == f"It is [{kind.value} 1] as I said."
    assert masker.receipt.counts == {kind.value: 1}


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_that_is_not_wanted_stays(kind: Kind) -> None:
    text = f"It is {VALUES[kind]} as I said."
    assert not [found for found in find(text, frozenset(Kind) - {kind}) if found[2] is kind]
    assert Masker(kinds_named([kind.value.lower()])).mask(text) != text


def test_a_value_has_one_placeholder_in_all_texts_of_a_prompt() -> None:
    masker = Masker()
    assert masker.mask(f"{MAIL} or eve@example.org") == "[e-mail 1] or [e-mail 2]"
    assert masker.mask(f"eve@example.org, not {MAIL}") == "[e-mail 2], not [e-mail 1]"
    assert masker.receipt.counts == {"e-mail": 2}


def test_a_placeholder_that_somebody_typed_does_not_become_a_value() -> None:
    masker = Masker()
    masked = masker.mask(f"{MAIL} wrote [e-mail 1]")
    assert masked == "[e-mail 1] wrote [text 1]"
    assert masker.unmask("Not [text 1] but [e-mail 1].") == f"Not [e-mail 1] but {MAIL}."
    assert masker.receipt.counts == {"e-mail": 1}


def test_a_model_may_write_a_placeholder_in_another_case() -> None:
    masker = Masker()
    masker.mask(MAIL)
    assert masker.unmask("[E-Mail 1], and [e-mail 7] is nobody's.") == f"{MAIL}, and [e-mail 7] is nobody's."


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_masking_can_be_undone(text: str) -> None:
    masker = Masker()
    assert masker.unmask(masker.mask(text)) == text


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, st.data())
def test_an_answer_is_whole_wherever_the_stream_is_cut(asked: str, answer: str, data: st.DataObject) -> None:
    masker = Masker()
    masker.mask(asked)
    unmasker = masker.unmasker()
    shown = "".join([*map(unmasker.feed, cut(masker.mask(answer), data)), unmasker.end()])
    assert shown == answer


def cut(text: str, data: st.DataObject) -> Sequence[str]:
    """Cut a text at places of hypothesis' choice."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def test_an_answer_is_whole_when_it_comes_in_single_characters() -> None:
    masker = Masker()
    masked = masker.mask(f"[[{MAIL}] [e-mail 1] [e-mail")
    unmasker = masker.unmasker()
    assert "".join([*map(unmasker.feed, masked), unmasker.end()]) == f"[[{MAIL}] [e-mail 1] [e-mail"


def test_ordinary_text_is_shown_without_waiting() -> None:
    unmasker = Masker().unmasker()
    words = "See [1] and [this](https://example.com) for "
    assert unmasker.feed(words) == words
    assert unmasker.feed("more [") == "more "
    assert unmasker.feed("2].") == "[2]."


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
@example("\ud800@example.com")
@example("1234@example.com".translate({ord(sign): ord(sign) + 0xFEE0 for sign in "1234@."}))
@example("4111 1111 1111 1111".translate({ord("0") + digit: 0x660 + digit for digit in range(10)}))
def test_no_text_makes_it_stumble(text: str) -> None:
    found = find(text)
    assert all(0 <= start < end <= len(text) for start, end, _ in found)
    assert all(one[1] <= two[0] for one, two in pairwise(found))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(VALUES)), st.text(" \n,;!?äé", max_size=20), st.text(" \n,;!?", max_size=20))
def test_a_value_is_found_between_whatever_people_put_around_it(kind: Kind, before: str, after: str) -> None:
    text = f"{before} {VALUES[kind]} {after}"
    assert VALUES[kind] not in Masker().mask(text)


@settings(max_examples=100, deadline=None)
@given(st.text("0123456789", min_size=13, max_size=19))
def test_a_number_with_a_wrong_check_digit_is_no_card(digits: str) -> None:
    right = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(digits)))
    if right % 10:
        assert not [kind for _, _, kind in find(digits) if kind is Kind.CARD]


@given(
    st.sampled_from([IBAN, "GB29 NWBK 6016 1331 9268 19"]), st.integers(0, 21), st.sampled_from("0123456789")
)
def test_an_iban_with_one_wrong_figure_is_none(iban: str, place: int, figure: str) -> None:
    """Modulo 97 notices every single wrong figure."""
    plain = iban.replace(" ", "")
    if place < 4 or plain[place] == figure or not plain[place].isdigit():
        return
    changed = plain[:place] + figure + plain[place + 1 :]
    assert not [kind for _, _, kind in find(changed) if kind is Kind.IBAN]


# What makes expressions slow: long runs that almost are something, over and over again.
ADVERSARIES = (
    "a", "1", "1 ", "a@", "1-", "+1", "eyJ-", "-----BEGIN PRIVATE KEY-----", "DE89 ", "0123 456 ",
    "tel ", "tel: 1 ", ":", "a:", "password ", "password:", "1.", "(12)", "a.b-", "x@a-", "sk-", "sk-a",
    "+(1)", "00 1", "token is ", "[e-mail ", "[", "A1b2", "é", "1\u00a0", "0/", "a@b.", "4111 ",
    "GB29NWBK6016133192681",
)  # fmt: skip


@pytest.mark.parametrize("piece", ADVERSARIES)
def test_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    short, long = (seconds(piece * (length // len(piece))) for length in (5_000, 40_000))
    assert long < 1.0, "four messages of the greatest length in one"
    # Eight times the text: eight times the time. A quadratic one would take 64 times as long.
    assert long < 24 * max(short, 0.002)


def seconds(text: str) -> float:
    """The least processor time of two, which others on this machine disturb least."""
    taken = []
    for _ in range(2):
        begun = time.process_time()
        Masker().mask(text)
        taken.append(time.process_time() - begun)
    return min(taken)
