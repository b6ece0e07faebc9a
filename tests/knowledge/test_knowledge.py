"""Knowledge: finds what fits, notices what changes, and never stumbles over what is asked."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parlour.features.knowledge.index import Index
from parlour.features.knowledge.ranking import rank
from parlour.features.knowledge.service import Knowledge
from parlour.vocabulary.citation import Passage

pytestmark = pytest.mark.anyio


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def take_away(folder: Path) -> None:
    folder.rename(folder.with_name(f"{folder.name}-away"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "boats.md", "# Boats\n\n## Hiring\n\nA rowing boat costs 12 euros an hour.")
    write(tmp_path / "food" / "ice-cream.txt", "We sell vanilla ice cream at the pier.")
    write(tmp_path / "weather.md", "# Weather\n\n## Storms\n\nIn a storm the harbour is closed.")
    return tmp_path


async def first(knowledge: Knowledge, question: str) -> str | None:
    found = await knowledge.search(question)
    return found[0].text if found else None


async def test_it_finds_the_passage_that_fits(folder: Path) -> None:
    knowledge = await Knowledge.load([folder])
    assert knowledge.document_count == 3
    (passage, *_) = await knowledge.search("How much is it to rent a rowing boat?")
    assert passage.text == "A rowing boat costs 12 euros an hour."
    assert passage.title_path == ("Boats", "Hiring")
    assert passage.document_id == f"{folder.name}/boats.md"
    assert 0 < passage.score <= 1


async def test_a_text_file_is_called_by_its_name(folder: Path) -> None:
    (passage, *_) = await (await Knowledge.load([folder])).search("vanilla ice cream")
    assert passage.document_title == "Ice cream"


@pytest.mark.parametrize("question", ["rowign boat", "ROWING BOATS?", "a rowng boat"])
async def test_endings_case_and_small_errors_do_not_matter(folder: Path, question: str) -> None:
    assert await first(await Knowledge.load([folder]), question) == "A rowing boat costs 12 euros an hour."


@pytest.mark.parametrize("question", ["", "?", "how is it", "Who painted the chapel ceiling?", "东京的天气"])
async def test_nothing_that_fits_is_nothing(folder: Path, question: str) -> None:
    assert await (await Knowledge.load([folder])).search(question) == ()


async def test_no_more_than_wanted_are_returned(folder: Path) -> None:
    found = await (await Knowledge.load([folder])).search("boat ice storm", limit=2, threshold=0)
    assert len(found) == 2


async def test_a_follow_up_is_searched_with_the_questions_before(folder: Path) -> None:
    knowledge = await Knowledge.load([folder])
    assert await knowledge.search("and how much?") == ()
    (passage, *_) = await knowledge.search("and the costs?", earlier=["Can I have a rowing boat?"])
    assert passage.document_title == "Boats"


async def test_unspaced_scripts_are_searched_by_sign(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "# 港\n\n嵐の日は港を閉めます。")
    write(tmp_path / "b.md", "# 船\n\n船は一時間千円です。")
    assert await first(await Knowledge.load([tmp_path]), "嵐の日は?") == "嵐の日は港を閉めます。"


async def test_a_new_file_is_answered_from_without_a_restart(folder: Path) -> None:
    knowledge = await Knowledge.load([folder], rescan_seconds=0)
    assert await first(knowledge, "Is there a lighthouse?") is None
    write(folder / "light.md", "# Lighthouse\n\nThe lighthouse opens at nine.")
    found = None
    deadline = time.monotonic() + 10
    while found is None and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        found = await first(knowledge, "Is there a lighthouse?")
    assert found == "The lighthouse opens at nine."
    assert knowledge.document_count == 4


async def test_an_edited_and_a_removed_file_are_noticed(folder: Path) -> None:
    knowledge = await Knowledge.load([folder])
    write(folder / "boats.md", "# Boats\n\nA rowing boat costs 15 euros.")
    (folder / "weather.md").unlink()
    assert await knowledge.refresh()
    assert await first(knowledge, "rowing boat") == "A rowing boat costs 15 euros."
    assert await first(knowledge, "storm harbour closed") is None


async def test_files_that_did_not_change_are_not_read_again(folder: Path) -> None:
    knowledge = await Knowledge.load([folder])
    index = knowledge._index
    assert not await knowledge.refresh()
    assert knowledge._index is index


async def test_between_two_looks_no_file_is_touched(folder: Path) -> None:
    knowledge = await Knowledge.load([folder], rescan_seconds=60)
    write(folder / "light.md", "# Lighthouse\n\nThe lighthouse opens at nine.")
    assert await first(knowledge, "lighthouse") is None


async def test_a_folder_out_of_reach_keeps_what_was_read(folder: Path) -> None:
    knowledge = await Knowledge.load([folder])
    take_away(folder)
    assert not await knowledge.refresh()
    assert await first(knowledge, "rowing boat") is not None


async def test_an_unreadable_file_is_reported_and_the_others_serve(folder: Path) -> None:
    (folder / "broken.md").write_bytes(b"\x00\x01")
    knowledge = await Knowledge.load([folder])
    assert [problem.path.name for problem in knowledge.unreadable] == ["broken.md"]
    assert knowledge.document_count == 3
    (folder / "broken.md").unlink()
    await knowledge.refresh()
    assert knowledge.unreadable == ()


async def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for place in ("one", "two"):
        write(tmp_path / place / "docs" / "a.md", f"# Page\n\nThe {place} page.")
    knowledge = await Knowledge.load([tmp_path / "one" / "docs", tmp_path / "two" / "docs"])
    found = await knowledge.search("page", threshold=0)
    assert {passage.document_id for passage in found} == {"docs/a.md", "docs-2/a.md"}


async def test_no_folder_is_no_knowledge() -> None:
    knowledge = await Knowledge.load([])
    assert knowledge.document_count == 0
    assert await knowledge.search("anything") == ()


async def test_searches_during_a_refresh_are_answered(folder: Path) -> None:
    knowledge = await Knowledge.load([folder], rescan_seconds=0)

    async def change() -> None:
        for number in range(10):
            write(folder / "more.md", f"# More\n\nNote {number} on paint.")
            os.utime(folder / "more.md", ns=(number, number))
            await knowledge.refresh()

    changing = asyncio.create_task(change())
    found = await asyncio.gather(*(first(knowledge, "rowing boat") for _ in range(50)))
    await changing
    assert set(found) == {"A rowing boat costs 12 euros an hour."}


async def test_searching_does_not_hold_up_the_event_loop(tmp_path: Path) -> None:
    for number in range(300):
        text = "\n\n".join(f"## Part {part}\n\nBoats and storms {part}." for part in range(10))
        write(tmp_path / f"{number}.md", f"# Page {number}\n\n{text}")
    knowledge = await Knowledge.load([tmp_path], rescan_seconds=60)
    longest = 0.0
    search = asyncio.create_task(knowledge.search("boats in storms", threshold=0))
    while not search.done():
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - began)
    assert await search
    assert longest < 0.1


PASSAGES = [
    Passage("1", "a", "Boats", ("Boats",), "A rowing boat costs 12 euros an hour."),
    Passage("2", "b", "Weather", ("Weather", "Storms"), "In a storm the harbour is closed."),
]


@given(st.text(max_size=300))
def test_no_question_breaks_the_search(question: str) -> None:
    few, many = (rank(Index(PASSAGES, few=few), question, limit=5) for few in (len(PASSAGES), 0))
    assert set(few) == set(many)  # a small folder is searched another way, and to the same end
    assert all(0 <= passage.score <= 1 for passage in few)


@pytest.mark.parametrize(
    "question", ['c++ "', "AND", "boat OR", "boat* NEAR(", "title:boat", "-", "'; DROP TABLE words"]
)
def test_the_query_language_of_the_index_means_nothing(question: str) -> None:
    rank(Index(PASSAGES, few=0), question, limit=5)


def test_an_essay_is_searched_in_time() -> None:
    began = time.perf_counter()
    rank(Index(PASSAGES), " ".join(f"word{number}" for number in range(2_000)), limit=5)
    assert time.perf_counter() - began < 2


def test_an_introduction_brings_the_section_that_it_announces() -> None:
    found = rank(
        Index(
            [
                Passage("1", "a", "Hiring boats", ("Hiring boats",), "All about hiring boats."),
                Passage("2", "a", "Hiring boats", ("Hiring boats", "How"), "Ring the bell."),
                Passage("3", "b", "Boats", ("Boats", "Types"), "Boats for hire are red."),
            ]
        ),
        "hiring boats",
        limit=3,
    )
    assert [passage.id for passage in found[:2]] == ["1", "2"]
