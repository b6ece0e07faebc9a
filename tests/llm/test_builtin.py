"""The built-in model: quotes, cites, stops where it should, and says when it does not know."""

import re
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.llm.model import Finish, ModelEvent, Prompt, Sources, Text, Turn
from parlour.llm.providers.builtin import BuiltinModel
from parlour.llm.providers.builtin.model import UNKNOWN, answer_to
from parlour.llm.providers.builtin.reading import read
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.messages import FinishReason

pytestmark = pytest.mark.anyio


def passage(
    text: str, *, number: int = 1, title: str = "Boats", heading: str = "Hiring", score: float = 0.0
) -> Passage:
    return Passage(
        id=f"boats.md#{number}",
        document_id="boats.md",
        document_title=title,
        title_path=(title, heading),
        text=text,
        score=score,
    )


HIRING = passage(
    "A rowing boat costs 12 euros an hour. Children ride for free. Bring a card, we take no cash."
)
STORMS = passage(
    "In a storm the harbour is closed. Call us before you come.\n\n```sh\ncall harbour\n\nwait\n```",
    number=2,
    heading="Storms",
)


def ask(question: str, *passages: Passage, earlier: tuple[str, ...] = (), partial: str = "") -> Prompt:
    turns = [turn for text in earlier for turn in (Turn("user", text), Turn("assistant", "…"))]
    return Prompt("Be kind.", (*turns, Turn("user", question)), passages, partial=partial)


async def events(prompt: Prompt, *, pace: float = 0) -> list[ModelEvent]:
    return [event async for event in BuiltinModel(pace=pace).stream(prompt)]


def said(found: list[ModelEvent]) -> str:
    return "".join(event.content for event in found if isinstance(event, Text))


async def test_it_quotes_whole_sentences_each_with_its_source() -> None:
    found = await events(ask("What does a rowing boat cost?", HIRING, STORMS))
    assert found[0] == Sources((HIRING,))
    assert said(found) == (
        "A rowing boat costs 12 euros an hour. [1] Children ride for free. [1] "
        "Bring a card, we take no cash. [1]"
    )


async def test_it_ends_with_a_reason_and_an_estimate_of_what_was_used() -> None:
    found = await events(ask("What does a rowing boat cost?", HIRING))
    end = found[-1]
    assert isinstance(end, Finish)
    assert end.reason is FinishReason.STOP
    assert end.usage is not None
    assert end.usage.estimated
    assert end.usage.input_tokens > 0 < end.usage.output_tokens


async def test_it_speaks_word_by_word() -> None:
    found = await events(ask("What does a rowing boat cost?", HIRING))
    pieces = [event.content for event in found if isinstance(event, Text)]
    assert len(pieces) > 15
    assert all(len(piece.split()) == 1 for piece in pieces)


async def test_its_pace_is_handed_in() -> None:
    began = time.perf_counter()
    await events(ask("Is it closed in a storm?", STORMS), pace=0.005)
    assert time.perf_counter() - began > 0.05


async def test_code_is_quoted_whole_after_what_announces_it() -> None:
    answer = answer_to(ask("harbour closed in a storm?", STORMS))
    assert "```sh\ncall harbour\n\nwait\n```" in answer.text
    assert answer.text.index("[1]") < answer.text.index("```")


async def test_without_a_fitting_passage_it_says_so_first_and_cites_nothing() -> None:
    found = await events(ask("Who painted the ceiling of the chapel?", HIRING, STORMS))
    assert said(found).startswith(UNKNOWN)
    assert not any(isinstance(event, Sources) for event in found)
    assert "[" not in said(found)


async def test_without_any_passage_it_says_that_it_does_not_know() -> None:
    assert said(await events(ask("What does a rowing boat cost?"))) == UNKNOWN


@pytest.mark.parametrize("greeting", ["hi", "Hello!", "good morning", "Hey there", "Hallo"])
async def test_a_greeting_is_returned(greeting: str) -> None:
    answer = answer_to(ask(greeting, HIRING))
    assert answer.text.startswith("Hello.")
    assert not answer.sources


@pytest.mark.parametrize(
    "thanks", ["thanks", "Thank you very much!", "ok great, thx", "that helped a lot, thank you"]
)
async def test_thanks_are_taken(thanks: str) -> None:
    assert answer_to(ask(thanks, HIRING)).text.startswith("You're welcome.")


async def test_a_question_with_a_greeting_is_a_question() -> None:
    assert answer_to(ask("Hi, what does a rowing boat cost?", HIRING)).sources == (HIRING,)


async def test_a_follow_up_is_read_with_the_question_before_it() -> None:
    alone = answer_to(ask("and for kids?", HIRING))
    after = answer_to(ask("and for kids?", HIRING, earlier=("What does a rowing boat cost?",)))
    assert not alone.sources
    assert after.sources == (HIRING,)


async def test_a_second_passage_speaks_if_it_adds_what_the_first_lacks() -> None:
    answer = answer_to(ask("rowing boat, storm", HIRING, STORMS))
    assert {source.id for source in answer.sources} == {HIRING.id, STORMS.id}
    assert "[2]" in answer.text


async def test_a_judgement_of_the_finder_counts() -> None:
    question = "What does a rowing boat cost?"
    assert not answer_to(ask(question, replace(HIRING, score=0.05))).sources
    assert answer_to(ask("Where is the moon?", replace(HIRING, score=0.9))).sources


async def test_of_a_long_list_only_the_items_that_answer_are_quoted() -> None:
    items = passage("We rent:\n\n- rowing boats\n- sailing boats\n- canoes with paddles\n- towels and chairs")
    text = answer_to(ask("Do you rent canoes with paddles?", items)).text
    assert "- canoes with paddles [1]" in text
    assert "towels" not in text


async def test_a_list_without_introduction_stands_under_its_heading() -> None:
    items = passage("- Slack and Teams", heading="Not there yet")
    text = answer_to(ask("Is there Slack?", items)).text
    assert text == "**Not there yet** [1]\n\n- Slack and Teams [1]"


async def test_footnotes_pictures_and_local_links_do_not_travel() -> None:
    linked = passage(
        "Boats cost 12 euros.[3] See [prices](prices.md) or [us](https://example.org/a). ![map](m.png)"
    )
    text = answer_to(ask("What do boats cost?", linked)).text
    assert "[3]" not in text
    assert "See prices or [us](https://example.org/a)." in text
    assert "m.png" not in text


async def test_it_stops_at_a_paragraph_when_only_so_many_tokens_are_allowed() -> None:
    prompt = replace(ask("harbour closed in a storm?", STORMS), max_tokens=40)
    found = await events(prompt)
    assert "```" not in said(found)
    assert found[-1] == Finish(
        FinishReason.LENGTH, found[-1].usage if isinstance(found[-1], Finish) else None
    )


async def test_it_goes_on_right_after_what_was_said_wherever_it_was_cut() -> None:
    whole = answer_to(ask("harbour closed in a storm?", STORMS)).text
    for cut in range(len(whole) + 1):
        found = await events(ask("harbour closed in a storm?", STORMS, partial=whole[:cut]))
        assert found[0] == Sources((STORMS,))
        assert whole[:cut] + said(found) == whole


async def test_what_another_model_began_is_not_repeated() -> None:
    whole = answer_to(ask("What does a rowing boat cost?", HIRING)).text
    rest = said(await events(ask("What does a rowing boat cost?", HIRING, partial="Rowing is lovely.")))
    assert rest == f"\n\n{whole}"
    partial = f"Rowing is lovely.\n\n{whole} Enjoy."
    assert said(await events(ask("What does a rowing boat cost?", HIRING, partial=partial))) == ""


async def test_equal_prompts_have_equal_answers() -> None:
    prompt = ask("rowing boat cost in a storm", HIRING, STORMS)
    assert await events(prompt) == await events(prompt)


@given(question=st.text(max_size=200), text=st.text(max_size=400))
def test_nothing_that_people_write_breaks_it(question: str, text: str) -> None:
    answer = answer_to(ask(question, passage(text, score=0.9)))
    assert answer.text.strip()
    assert set(re.findall(r"\[(\d+)\]$", answer.text)) <= {"1"}


@given(st.text(alphabet="ab -*1.|`~>\n", max_size=120))
def test_no_word_is_lost_in_reading_a_passage(text: str) -> None:
    units = "".join(unit.text for unit in read(text))
    assert [mark for mark in units if mark in "ab1"] == [mark for mark in text if mark in "ab1"]
