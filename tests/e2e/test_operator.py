"""The operators' page: how each model fares, and what was used and spent (M-5, M-7)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.access import PHONE, violations
from tests.e2e.conftest import Open
from tests.e2e.reader import Reader
from tests.fakes.provider import FakeProvider
from tests.harness.process import ServerProcess, run_command

pytestmark = pytest.mark.anyio

PAGE = "/#/operator/models"
REMEMBER = "token => localStorage.setItem('parlour.token', token)"


@pytest.fixture(scope="module")
async def watched(
    provider: FakeProvider, built_page: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server with two models, the second in reserve."""
    environment = {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_MODEL": "fake",
        "ANTHROPIC_API_KEY": "sk-ant-test",
        "ANTHROPIC_BASE_URL": provider.root,
        "ANTHROPIC_MODEL": "claude-fake",
        "PARLOUR_FIND_OLLAMA": "off",
        "PARLOUR_DEFAULT_PROVIDER": "openai",
        "PARLOUR_FALLBACK": "openai, anthropic",
    }
    async with ServerProcess(tmp_path_factory.mktemp("watched") / "data", environment=environment) as server:
        yield await server.start()


@pytest.fixture
async def operator(open_window: Open, watched: ServerProcess) -> Reader:
    """Somebody who is let in as operator."""
    environment = {"PARLOUR_DATA_DIR": str(watched.data)}
    status, output = await run_command("users", "token", "--role", "operator", environment=environment)
    assert status == 0, output
    reader = await open_window(watched.url, reduced_motion="reduce")
    await reader.page.evaluate(REMEMBER, output.split()[-1])
    await reader.page.reload()
    await expect(reader.page.locator(".person-name")).to_have_text("Operator")
    return reader


async def test_a_visitor_finds_no_way_there_and_is_told_why(
    open_window: Open, watched: ServerProcess
) -> None:
    """No link in the sidebar; by its address the page says who may see it."""
    visitor = await open_window(watched.url)
    await expect(visitor.page.locator(".person-name")).to_have_text("Visitor")
    await expect(visitor.page.get_by_role("link", name="Models")).to_have_count(0)
    await visitor.page.goto(watched.url + PAGE)
    await visitor.page.reload()
    await expect(visitor.page.get_by_text("This page is for operators")).to_be_visible()
    assert await violations(visitor) == []


async def test_the_page_teaches_before_anything_was_asked_and_then_tells(
    operator: Reader, provider: FakeProvider
) -> None:
    """States in words, the reason for trouble, tokens and cost; read again by itself while it is seen."""
    page = operator.page
    await page.get_by_role("link", name="Models").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    await expect(page).to_have_title("Models · Parlour")
    await expect(page.get_by_text("All 2 models are ready.")).to_be_visible()
    await expect(page.get_by_text("No model has been asked since the server started.")).to_be_visible()
    await expect(page.get_by_text("Nothing yet. What each model takes")).to_be_visible()
    assert await violations(operator) == []

    await page.get_by_role("button", name="New conversation").first.click()
    provider.told["openai"] = "status=500"
    try:
        for number in range(6):
            await operator.ask_and_wait(f"How are you, for the time {number}? [[n=4]]")
    finally:
        provider.told.clear()
    await page.get_by_role("link", name="Models").click()
    health = page.get_by_role("region", name="Right now")
    resting = health.get_by_role("row").filter(has_text="Own server")
    await expect(
        page.get_by_text("One model does not answer; the others answer in its place.")
    ).to_be_visible()
    await expect(resting).to_contain_text("Not answering")
    await expect(health.get_by_role("row").nth(1)).to_contain_text("Own server")  # before those that are well
    await expect(resting.get_by_role("timer")).to_contain_text("next try in")
    await expect(health.get_by_role("row").filter(has_text="Anthropic")).to_contain_text("Ready")
    spent = page.get_by_role("region", name="Usage and cost")
    await expect(spent.get_by_role("row").filter(has_text="claude-fake")).to_contain_text("unknown")
    await spent.get_by_role("button", name="This month").click()
    await expect(spent.get_by_role("row").filter(has_text="claude-fake")).to_contain_text("7")
    assert await violations(operator) == []

    async with page.expect_response(lambda response: response.url.endswith("/api/admin/models")):
        pass  # five seconds later, unasked
    await page.go_back()
    await expect(operator.answers).to_have_count(6)
    panel = operator.answer.get_by_role("group", name="How this answer came about")
    await operator.answer.get_by_role("button", name="How this answer came about").click()
    await expect(panel.get_by_role("listitem").first).to_contain_text("Own server")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_has_no_violation_in_either_theme_and_fits_a_phone(
    open_window: Open, operator: Reader, watched: ServerProcess, scheme: str
) -> None:
    """A row becomes two lines; nothing scrolls sideways (W-1, W-6)."""
    token = await operator.page.evaluate("localStorage.getItem('parlour.token')")
    phone = await open_window(watched.url, color_scheme=scheme, reduced_motion="reduce", **PHONE)
    await phone.page.evaluate(REMEMBER, token)
    await phone.page.goto(watched.url + PAGE)
    await phone.page.reload()
    await expect(phone.page.get_by_role("region", name="Right now")).to_be_visible()
    assert await violations(phone) == []
    wide = """() => [document.documentElement, ...document.querySelectorAll(".scroller")]
        .filter(box => box.scrollWidth > box.clientWidth).map(box => box.className)"""
    assert await phone.page.evaluate(wide) == []
