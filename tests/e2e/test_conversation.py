"""Asking and being answered: the main job, as a person does it."""

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Open
from tests.e2e.reader import Reader
from tests.fakes.script import encoded
from tests.harness.process import ServerProcess

pytestmark = pytest.mark.anyio


async def test_a_question_is_answered_while_one_watches(reader: Reader) -> None:
    """The words flow in, end as they are stored, and the conversation stands in the sidebar (C-2, W-4)."""
    await reader.ask("Tell me of herons [[n=60;dt=0.02]]")
    await expect(reader.questions.last).to_have_text("Tell me of herons [[n=60;dt=0.02]]")
    await reader.arriving()
    await expect(reader.stop).to_be_visible()
    await reader.settled()
    await expect(reader.stop).to_have_count(0)
    question, answer = await reader.stored()
    assert question["content"].startswith("Tell me of herons")
    await expect(reader.text).to_have_text(answer["content"])
    await expect(reader.page.locator(".session.current")).to_contain_text("Tell me of herons")
    await expect(reader.page.get_by_test_id("announcer")).to_contain_text(answer["content"])


async def test_a_stopped_answer_keeps_what_was_said(reader: Reader) -> None:
    """Stop ends the answer soon, keeps its text and says so (C-5)."""
    await reader.ask("Count far [[n=2000;dt=0.02]]")
    await reader.arriving()
    await reader.stop.click()
    await reader.settled("stopped")
    await expect(reader.answer).to_contain_text("Stopped.")
    _, answer = await reader.stored()
    assert answer["status"] == "stopped"
    assert answer["content"]
    await expect(reader.text).to_have_text(answer["content"].strip())


async def test_escape_stops_too(reader: Reader) -> None:
    """The keyboard reaches everything (W-1)."""
    await reader.ask("Count on [[n=2000;dt=0.02]]")
    await reader.arriving()
    await reader.page.keyboard.press("Escape")
    await reader.settled("stopped")


async def test_a_failed_answer_says_why_and_can_be_tried_again(reader: Reader) -> None:
    """A failure is one row with a way out; the question is kept (W-3, M-11)."""
    question = "Falter once [[status=401;times=1;n=8]]"
    await reader.ask(question)
    await reader.settled("failed")
    await expect(reader.answer.locator(".trouble")).to_contain_text("The model is not set up correctly")
    await expect(reader.questions).to_have_text([question])
    await reader.answer.get_by_role("button", name="Try again").click()
    await reader.settled()
    await expect(reader.answer.locator(".trouble")).to_have_count(0)
    await expect(reader.answers).to_have_count(1)


async def test_an_answer_can_be_asked_for_again_and_rated(reader: Reader) -> None:
    """Another answer takes the place of the first; a rating outlives a reload (C-6, C-9)."""
    await reader.ask_and_wait("Once more, please [[n=5]]")
    first = (await reader.stored())[-1]["id"]
    async with reader.page.expect_response(lambda response: response.url.endswith("/regenerate")):
        await reader.answer.get_by_role("button", name="Answer again").click()
    await reader.settled()
    assert (await reader.stored())[-1]["id"] != first
    await expect(reader.answers).to_have_count(1)
    helpful = reader.answer.get_by_role("button", name="Helpful", exact=True)
    async with reader.page.expect_response(lambda response: response.url.endswith("/feedback")):
        await helpful.click()
    await reader.page.reload()
    await expect(helpful).to_have_attribute("aria-pressed", "true")


async def test_the_first_visit_offers_questions_and_an_answer_shows_its_sources(
    open_window: Open, builtin_server: ServerProcess
) -> None:
    """With no key and no account a suggestion is answered, and its source opens in place (K-4)."""
    reader = await open_window(builtin_server.url)
    await expect(reader.page.locator(".rests-on")).to_contain_text("document")
    await reader.page.get_by_role("button", name="How do I connect OpenAI?").click()
    await expect(reader.answers).to_have_count(1)
    await reader.settled()
    await expect(reader.text).to_contain_text("OPENAI_API_KEY")
    chip = reader.answer.get_by_role("button", name="Source 1:").first
    await chip.click()
    await expect(chip).to_have_attribute("aria-expanded", "true")
    await expect(reader.answer.locator(".note.open .passage blockquote")).not_to_be_empty()
    await reader.page.keyboard.press("Escape")
    await expect(chip).to_have_attribute("aria-expanded", "false")
    await expect(chip).to_be_focused()


async def test_code_is_set_as_code_and_copied_whole(open_window: Open, server: ServerProcess) -> None:
    """A block names its language, takes colour when it is whole, and is copied as it was written (W-1)."""
    reader = await open_window(server.url, permissions=["clipboard-read", "clipboard-write"])
    code = "def greet(name):\n    return f'<b>{name}</b>'  # kept"
    answer = f"Here:\n\n```python\n{code}\n```"
    await reader.ask_and_wait(f"Show me [[text={encoded(answer)}]]")
    block = reader.answer.locator(".code")
    await expect(block.locator("figcaption")).to_contain_text("Python")
    await expect(block.locator(".code-key").first).to_have_text("def")
    await block.get_by_role("button", name="Copy code").click()
    await expect(block).to_contain_text("Copied")
    assert await reader.page.evaluate("navigator.clipboard.readText()") == code
