"""Words of questions and texts: stems, synonyms, phrases."""

import re
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.features.knowledge.bundled import bundled_folder
from parlour.llm.english.stems import _AS_THEY_ARE, _IRREGULAR, _american, stem
from parlour.llm.words import WEAK, is_follow_up, stems, telling_stems, terms, tokens


def test_stems_are_those_of_the_porter_tokenizer_in_sqlite() -> None:
    text = " ".join(path.read_text(encoding="utf-8") for path in bundled_folder().glob("*.md"))
    words = sorted(set(re.findall(r"[a-z]{3,40}", text.lower())))
    special = _AS_THEY_ARE | _IRREGULAR.keys()
    plain = [word for word in words if word not in special and _american(word) == word]
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE texts USING fts5(word, tokenize='porter ascii')")
    connection.execute("CREATE VIRTUAL TABLE found USING fts5vocab(texts, 'instance')")
    connection.executemany("INSERT INTO texts (rowid, word) VALUES (?, ?)", list(enumerate(plain)))
    theirs = {plain[row]: term for term, row in connection.execute("SELECT term, doc FROM found")}
    connection.close()
    assert len(plain) > 500
    assert {word: stem(word) for word in plain} == theirs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connecting", "connection"),
        ("broke", "breaks"),
        ("sent", "sending"),
        ("customise", "customizing"),
        ("colours", "color"),
        ("Straße", "STRASSE"),
        ("café", "cafes"),
        ("don't", "don\u2019t"),
    ],
)
def test_forms_of_one_word_have_one_stem(one: str, other: str) -> None:
    assert stems(one) == stems(other)


def test_names_of_settings_are_taken_apart() -> None:
    assert tokens("`OPENAI_API_KEY=sk-1`") == ["openai", "api", "key", "sk", "1"]


def test_scripts_without_spaces_are_cut_into_signs() -> None:
    assert tokens("日本のdocs") == ["日", "本", "の", "docs"]


def test_a_question_is_reduced_to_what_it_asks() -> None:
    assert [term.word for term in terms("How do I connect the database to it?")] == ["connect", "database"]


def test_words_that_say_little_weigh_little() -> None:
    (term,) = terms("Is there another way?")[-1:]
    assert term.weight == WEAK


@pytest.mark.parametrize("question", ["turn it off", "turning documents off", "switch off"])
def test_phrasal_verbs_become_one_word(question: str) -> None:
    joined = {term.word for term in terms(question)}
    assert ("disable" in joined) == (question != "turning documents off")


def test_synonyms_prove_less_than_the_word_itself() -> None:
    (term,) = terms("remove")
    assert term.stems[stem("remove")] == 1.0
    assert 0 < term.stems[stem("delete")] < 1.0


def test_headings_are_told_apart_by_their_telling_words() -> None:
    assert telling_stems("What to do when the disk is full") == {stem("disk"), stem("full")}


@pytest.mark.parametrize("question", ["and with Docker?", "what about nginx", "why?", "But on Windows how?"])
def test_short_questions_lean_on_the_ones_before(question: str) -> None:
    assert is_follow_up(question)


def test_a_whole_question_stands_alone() -> None:
    assert not is_follow_up("Where does Parlour keep the database on the disk?")


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    assert all(word and word == word.casefold() for word in tokens(text))
    assert len(stems(text)) == len(tokens(text))
    assert all(term.stems for term in terms(text))
