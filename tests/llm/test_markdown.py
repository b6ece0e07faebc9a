"""Markdown is cut without being broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm.markdown import blocks, has_fence, sentences


def test_a_code_block_is_one_block_with_its_empty_lines() -> None:
    code = "```sh\nfirst\n\nsecond\n```"
    assert blocks(f"Type:\n\n{code}\n\nDone.") == ["Type:", code, "Done."]
    assert has_fence(code)


def test_a_shorter_fence_does_not_close_a_longer_one() -> None:
    code = "````\n```\n\n```\n````"
    assert blocks(code) == [code]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Use e.g. nginx. Or Caddy.", ["Use e.g. nginx.", "Or Caddy."]),
        ("Version 1.2 is out. Get it.", ["Version 1.2 is out.", "Get it."]),
        ("It is `a. B`. `c` too.", ["It is `a. B`.", "`c` too."]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        ("これは文です。次の文。", ["これは文です。", "次の文。"]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet="ab .!?`\"'()。\n", max_size=80))
def test_no_letter_is_lost_between_sentences(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(st.text(alphabet="ab`~ \n#-", max_size=120))
def test_no_line_is_lost_between_blocks(text: str) -> None:
    kept = [line for block in blocks(text) for line in block.split("\n") if line.strip()]
    assert kept == [line for line in text.split("\n") if line.strip()]
