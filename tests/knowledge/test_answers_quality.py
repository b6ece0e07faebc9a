"""The committed questions, asked through search and the built-in model (K-4, B-9)."""

from pathlib import Path

import pytest

from benchmarks.answers.measure import FOLDER, Question, Result, ask, questions, section
from parlour.features.knowledge.bundled import bundled_folder
from parlour.features.knowledge.service import Knowledge

SETS = sorted(FOLDER.glob("*.toml"))

pytestmark = pytest.mark.anyio


@pytest.fixture
async def results() -> list[Result]:
    return await ask(questions(FOLDER / "questions.toml"), bundled_folder())


async def test_the_right_passage_is_cited_for_four_of_five_questions(results: list[Result]) -> None:
    answerable = [result for result in results if result.question.right]
    good = [result for result in answerable if result.good]
    assert len(answerable) == 60
    assert len(good) >= 0.8 * len(answerable), [r.question.text for r in answerable if not r.good]


async def test_what_no_guide_knows_is_not_answered(results: list[Result]) -> None:
    unanswerable = [result for result in results if not result.question.right]
    silent = [result for result in unanswerable if result.good]
    assert len(unanswerable) == 20
    assert len(silent) >= 0.9 * len(unanswerable), [r.question.text for r in unanswerable if not r.good]


# A little below what was reached when the sets were committed: a change that loses more is a step back.
FLOORS = {"fresh_a": (0.88, 0.86), "fresh_b": (0.62, 0.90), "practice": (0.70, 0.78)}


@pytest.mark.parametrize("name", FLOORS)
async def test_newer_questions_are_answered_no_worse_than_before(name: str) -> None:
    results = await ask(questions(FOLDER / f"{name}.toml"), bundled_folder())
    answerable = [result for result in results if result.question.right]
    others = [result for result in results if not result.question.right]
    right, silent = FLOORS[name]
    assert sum(result.good for result in answerable) >= right * len(answerable)
    assert sum(result.good for result in others) >= silent * len(others)


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
async def test_every_section_named_as_right_exists(path: Path) -> None:
    knowledge = await Knowledge.load([bundled_folder()])
    there = {section(passage) for passage in knowledge.passages}
    assert {name for question in questions(path) for name in question.right} <= there


async def test_how_to_connect_openai_is_answered_with_what_to_type() -> None:
    question = Question("page", "How do I connect OpenAI?", frozenset({"openai.md#Set your key"}))
    (result,) = await ask([question], bundled_folder())
    assert result.good
    assert "export OPENAI_API_KEY=" in result.text


@pytest.mark.parametrize(
    ("text", "right", "words"),
    [
        (
            "Does Parlour support Anthropic and Google models?",
            {"what-parlour-can-do.md#What works now", "models.md#Add Claude, Gemini or Ollama"},
            "Anthropic",
        ),
        (
            "Can I use Claude and Gemini at the same time?",
            {"what-parlour-can-do.md#What works now", "models.md#Add Claude, Gemini or Ollama"},
            "GEMINI_API_KEY",
        ),
        (
            "How do I revoke an API key on the command line?",
            {"command-line.md#API keys", "command-line.md#All commands"},
            "parlour keys revoke",
        ),
        (
            "Can I have OpenAI and my own server at the same time?",
            {"compatible-servers.md#Beside OpenAI"},
            "PARLOUR_COMPATIBLE_BASE_URL",
        ),
        ("What does a client do with a retract event?", {"http-api.md#Stream an answer"}, "retract"),
    ],
)
async def test_what_newer_versions_can_do_is_told(text: str, right: set[str], words: str) -> None:
    (result,) = await ask([Question("page", text, frozenset(right))], bundled_folder())
    assert result.good, (result.cited, result.text)
    assert words in result.text
    assert "not supported" not in result.text
