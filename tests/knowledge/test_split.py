"""Documents become passages: nothing lost, in order, never too long, code whole."""

from hypothesis import given
from hypothesis import strategies as st

from parlour.features.knowledge.split import CODE_CHARACTERS, PASSAGE_CHARACTERS, passages, pieces
from parlour.vocabulary.citation import Passage

GUIDE = """# Boats

All about boats.

## Hiring

Costs money.

### On Sundays

Costs more.

## Storms

Stay at home.
"""

LINES = st.lists(
    st.one_of(
        st.text(alphabet="abcdefgh .!?", max_size=300),
        st.sampled_from(["", "", "# One", "## Two", "### Three", "- item", "1. item", "| a | b |", "Type:"]),
        st.integers(1, 40).map(lambda count: "word " * count + "end."),
        st.just("```sh\nrun this\n\n# not a heading\n```"),
    ),
    max_size=40,
)


def split(text: str, *, markdown: bool = True) -> tuple[Passage, ...]:
    return passages("boats.md", text, fallback_title="Fallback", markdown=markdown)


def test_headings_become_the_path_of_their_passages() -> None:
    assert [(passage.title_path, passage.text) for passage in split(GUIDE)] == [
        (("Boats",), "All about boats."),
        (("Boats", "Hiring"), "Costs money."),
        (("Boats", "Hiring", "On Sundays"), "Costs more."),
        (("Boats", "Storms"), "Stay at home."),
    ]


def test_ids_are_unique_and_name_the_document() -> None:
    found = split(GUIDE)
    assert [passage.id for passage in found] == [f"boats.md#{number}" for number in range(1, 5)]
    assert {passage.document_title for passage in found} == {"Boats"}


def test_a_document_without_a_heading_is_called_by_its_fallback() -> None:
    (passage,) = split("Only text.")
    assert (passage.document_title, passage.title_path) == ("Fallback", ("Fallback",))


def test_underlined_headings_are_headings() -> None:
    found = split("Boats\n=====\n\nText.\n\nHiring\n------\n\nMore.")
    assert [passage.title_path for passage in found] == [("Boats",), ("Boats", "Hiring")]


def test_front_matter_gives_the_title_and_no_text() -> None:
    (passage,) = split('---\ntitle: "All boats"\ndraft: false\n---\nText.')
    assert (passage.document_title, passage.text) == ("All boats", "Text.")


def test_marks_in_headings_are_taken_off() -> None:
    (passage,) = split("# The `serve` [command](x.md)\n\nText.")
    assert passage.document_title == "The serve command"


def test_what_looks_like_a_heading_inside_code_is_code() -> None:
    (passage,) = split("# Boats\n\n```sh\n# not a heading\n```")
    assert passage.text == "```sh\n# not a heading\n```"


def test_a_heading_without_any_text_is_kept_as_text() -> None:
    assert [passage.text for passage in split("# Boats\n\n## Soon\n\n## Hiring\n\nText.")] == [
        "Soon",
        "Text.",
    ]


def test_plain_text_has_no_headings() -> None:
    (passage,) = split("# of boats: 12", markdown=False)
    assert passage.text == "# of boats: 12"


def test_an_announcement_stays_with_its_code() -> None:
    filler = "Many words. " * 95
    code = "```sh\n" + "run\n" * 40 + "```"
    found = pieces(f"{filler}\n\nType this:\n\n{code}")
    assert next(piece for piece in found if "Type this:" in piece).endswith(code)


def test_a_huge_line_is_cut_quickly() -> None:
    assert all(len(piece) <= PASSAGE_CHARACTERS for piece in pieces("`x" * 200_000))


@given(LINES)
def test_no_text_is_lost_and_order_is_kept(lines: list[str]) -> None:
    text = "\n".join(lines)
    kept = "".join("".join(piece.split()) for piece in pieces(text))
    assert kept == "".join(text.split())


@given(LINES)
def test_every_word_of_a_document_is_in_its_passages_or_their_paths(lines: list[str]) -> None:
    found = split("\n".join(lines))
    words = {word for passage in found for word in (" ".join((*passage.title_path, passage.text))).split()}
    marks = {"#", "##", "###"}
    assert {word for line in lines for word in line.split()} - marks <= words | marks


@given(LINES)
def test_passages_have_a_bounded_size(lines: list[str]) -> None:
    for piece in pieces("\n".join(lines)):
        assert len(piece) <= (CODE_CHARACTERS if "```" in piece else PASSAGE_CHARACTERS + CODE_CHARACTERS)


@given(LINES)
def test_code_blocks_stay_whole(lines: list[str]) -> None:
    for piece in pieces("\n".join(lines)):
        assert piece.count("```") % 2 == 0
