"""What a person sees of limits, budgets and rules: what is too much waits or says when (M-8, M-10, W-3)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.access import violations
from tests.e2e.conftest import Open
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.harness.process import ServerProcess

pytestmark = pytest.mark.anyio

RULES = "forbidden fruit\n"


@pytest.fixture(scope="module")
def environment(provider: FakeProvider) -> dict[str, str]:
    """A server with one model, and nothing else yet."""
    return {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_MODEL": "fake",
        "PARLOUR_FIND_OLLAMA": "off",
    }


@pytest.fixture
async def hasty(
    environment: dict[str, str], built_page: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server that takes two messages a minute."""
    limits = {"PARLOUR_REQUESTS_PER_MINUTE": "2"}
    async with ServerProcess(
        tmp_path_factory.mktemp("hasty") / "data", environment=environment | limits
    ) as server:
        yield await server.start()


@pytest.fixture
async def poor(
    environment: dict[str, str], built_page: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server whose budget lasts for one answer."""
    folder = tmp_path_factory.mktemp("poor") / "data"
    folder.mkdir()
    # The fake is no server of OpenAI's, so its models have no prices but the operator's.
    prices = '[prices."openai_compatible/fake"]\ninput = 0.0\noutput = 1000.0\n'
    (folder / "parlour.toml").write_text(prices, encoding="utf-8")
    # What one call could cost is set aside twice: it may have to be made again.
    budget = {"PARLOUR_BUDGET_DAY": "0.45", "PARLOUR_REPLY_TOKENS": "200"}
    async with ServerProcess(folder, environment=environment | budget) as server:
        yield await server.start()


@pytest.fixture
async def brief(
    environment: dict[str, str], built_page: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server whose conversations are full after one answer."""
    limits = {"PARLOUR_SESSION_TOKENS": "20"}
    async with ServerProcess(
        tmp_path_factory.mktemp("brief") / "data", environment=environment | limits
    ) as server:
        yield await server.start()


@pytest.fixture(scope="module")
async def strict(
    environment: dict[str, str], built_page: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server with a rule for what is asked and what is answered."""
    folder = tmp_path_factory.mktemp("strict")
    rules = folder / "rules.txt"
    rules.write_text(RULES, encoding="utf-8")
    moderation = {
        "PARLOUR_MODERATION_INPUT": "block",
        "PARLOUR_MODERATION_OUTPUT": "block",
        "PARLOUR_MODERATION_RULES": str(rules),
    }
    async with ServerProcess(folder / "data", environment=environment | moderation) as server:
        yield await server.start()


async def test_what_is_too_much_waits_visibly_and_goes_out_by_itself(
    open_window: Open, hasty: ServerProcess, provider: FakeProvider
) -> None:
    """The third message of a minute counts down, outlives a reload, and reaches the model once."""
    reader = await open_window(hasty.url, reduced_motion="reduce")
    for question in ("One heron [[n=2]]", "Two herons [[n=2]]"):
        await reader.ask_and_wait(question)
    await reader.page.clock.install()
    await reader.ask("Three herons [[n=2]]")
    waiting = reader.page.locator(".delivery")
    await expect(waiting).to_contain_text("A little too fast. Goes out in")
    await expect(reader.questions.last).to_have_class("bubble unsent")
    assert await violations(reader) == []
    await reader.ask("Four herons [[n=2]]")
    await expect(waiting).to_have_count(2)
    await waiting.last.get_by_role("button", name="Remove").click()
    await expect(reader.questions).to_have_count(3)
    # The server's minute is not the browser's: let it pass there, and then here.
    await hasty.kill_and_restart()
    await reader.page.clock.fast_forward(61_000)
    await expect(reader.answers).to_have_count(3)
    await reader.settled()
    assert len(provider.calls("Three herons")) == 1
    assert [message["content"] for message in await reader.stored()][4].startswith("Three herons")


async def test_a_spent_budget_says_when_it_begins_anew(
    open_window: Open, poor: ServerProcess, provider: FakeProvider
) -> None:
    """The text is kept, no model is asked, and the next day is named."""
    reader = await open_window(poor.url, reduced_motion="reduce")
    await reader.ask_and_wait("Can you afford this? [[n=180]]")
    await reader.ask("And this as well?")
    trouble = reader.page.locator(".trouble")
    await expect(trouble).to_contain_text("Not sent: the budget is spent. Your text is kept.")
    await expect(trouble.get_by_role("timer")).to_contain_text("It can go out again")
    await expect(reader.questions.last).to_have_text("And this as well?")
    assert provider.calls("as well") == []
    assert await violations(reader) == []
    await reader.page.reload()
    await expect(trouble).to_contain_text("the budget is spent")
    await trouble.get_by_role("button", name="Remove").click()
    await expect(reader.questions).to_have_count(1)


async def test_a_full_conversation_says_so_once_and_its_text_goes_along(
    open_window: Open, brief: ServerProcess
) -> None:
    """One quiet notice for all that found no room, none of it is sent again, and one press takes it along."""
    reader = await open_window(brief.url, reduced_motion="reduce")
    await reader.ask_and_wait("One heron [[n=40]]")
    sent: list[str] = []
    reader.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    notice = reader.page.locator(".trouble")
    await reader.ask("Two herons")
    await expect(notice).to_contain_text("Not sent: this conversation is full.")
    await reader.ask("Three herons")
    await expect(notice).to_contain_text("2 messages were not sent: this conversation is full.")
    await expect(notice).to_have_class("trouble mild")
    assert len(sent) == 1
    assert await violations(reader) == []
    await reader.page.reload()
    await expect(notice).to_have_count(1)
    await expect(reader.questions).to_have_text(["One heron [[n=40]]", "Two herons", "Three herons"])
    assert len(sent) == 1
    await notice.get_by_role("button", name="Start a new one").click()
    await expect(reader.composer).to_have_value("Two herons\n\nThree herons")
    await reader.page.go_back()
    await expect(reader.questions).to_have_text(["One heron [[n=40]]"])
    await expect(notice).to_have_count(0)


async def test_a_blocked_message_gets_a_friendly_answer_with_a_quiet_mark(
    open_window: Open, strict: ServerProcess, provider: FakeProvider
) -> None:
    """It ends like any answer, and no model has seen it."""
    reader = await open_window(strict.url, reduced_motion="reduce")
    await reader.ask_and_wait("Where can I buy forbidden fruit?")
    await expect(reader.text).to_contain_text("I cannot help with this message.")
    await expect(reader.answer).to_contain_text("Held back by the rules of this place.")
    await expect(reader.answer.locator(".trouble")).to_have_count(0)
    assert provider.calls("buy forbidden") == []
    assert await violations(reader) == []
    await reader.page.reload()
    await expect(reader.answer).to_contain_text("Held back by the rules of this place.")
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))
    await reader.answer.get_by_role("button", name="How this answer came about").click()
    panel = reader.answer.get_by_role("group", name="How this answer came about")
    await expect(panel).to_have_text("Your message was held back by the rules here; no model was asked.")
    assert [url for url in asked if "attempts" in url] == []


async def test_words_that_break_the_rules_are_taken_back(open_window: Open, strict: ServerProcess) -> None:
    """A sentence that was already shown disappears; the ones before it stay."""
    reader = await open_window(strict.url)
    said = "Herons stand still. They like forbidden fruit very much. They sleep."
    await reader.ask_and_wait(f"Tell me of them [[text={encoded(said)};dt=0.05]]")
    await expect(reader.text).to_contain_text("Herons stand still.")
    await expect(reader.text).not_to_contain_text("forbidden")
    await expect(reader.answer.locator(".with-icon")).to_be_visible()
    stored = (await reader.stored())[-1]
    assert "forbidden" not in stored["content"]
    assert stored["finishReason"] == "filtered"
