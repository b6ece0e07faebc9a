"""Many models, one voice, as a person sees it: choosing, who answered and why, and trouble (M-3, M-11)."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.access import PHONE, violations
from tests.e2e.conftest import Open
from tests.e2e.reader import Reader
from tests.fakes.provider import FakeProvider
from tests.harness.process import ServerProcess

pytestmark = pytest.mark.anyio

MODELS = ["Automatic", "fake", "fake-mini", "Claude Fake", "Gemini Fake", "Documents alone"]
FIRST = "openai_compatible"  # OpenAI's wire format at an address that is not OpenAI's


@pytest.fixture(scope="module")
async def many(
    provider: FakeProvider, built_page: object, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A server with three providers, the first of which is asked first."""
    environment = {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_MODEL": "fake",
        "OPENAI_MODELS": "fake-mini",
        "ANTHROPIC_API_KEY": "sk-ant-test",
        "ANTHROPIC_BASE_URL": provider.root,
        "ANTHROPIC_MODEL": "claude-fake",
        "GEMINI_API_KEY": "test",
        "GEMINI_BASE_URL": provider.root,
        "GEMINI_MODEL": "gemini-fake",
        "PARLOUR_FIND_OLLAMA": "off",
        "PARLOUR_TASK_CODE": "openai",
        "PARLOUR_TASK_CREATIVE": "openai",
        "PARLOUR_TASK_GENERAL": "openai",
        "PARLOUR_FALLBACK": "openai, anthropic, gemini",
    }
    async with ServerProcess(tmp_path_factory.mktemp("many") / "data", environment=environment) as server:
        yield await server.start()


@pytest.fixture
async def reader(open_window: Open, many: ServerProcess, provider: FakeProvider) -> AsyncIterator[Reader]:
    """Somebody at a page with a choice; the providers behave again afterwards."""
    yield await open_window(many.url)
    provider.told.clear()


def selector(reader: Reader) -> Locator:
    """Find the button that says which model is in force."""
    return reader.page.get_by_role("button", name=re.compile("^Model: "))


async def choose(reader: Reader, name: str) -> None:
    """Choose a model by its name."""
    await selector(reader).click()
    await reader.page.get_by_role("option", name=re.compile(f"^{name}")).first.click()
    await expect(reader.page.get_by_role("listbox")).to_have_count(0)


async def details(reader: Reader) -> Locator:
    """Open what there is to know of the last answer."""
    await reader.answer.get_by_role("button", name="How this answer came about").click()
    return reader.answer.get_by_role("group", name="How this answer came about")


async def test_a_server_with_one_model_offers_no_choice(
    open_window: Open, server: ServerProcess, builtin_server: ServerProcess
) -> None:
    """The first page stays clean where there is nothing to choose (W-1)."""
    for each in (server, builtin_server):
        plain = await open_window(each.url)
        await plain.ask_and_wait("Hello there")
        await expect(selector(plain)).to_have_count(0)


async def test_the_chosen_model_answers_and_stays_chosen_in_its_conversation(reader: Reader) -> None:
    """The wish goes with every message, over a reload; another conversation begins with Automatic."""
    await selector(reader).click()
    options = reader.page.get_by_role("option")
    await expect(options).to_have_count(len(MODELS))
    assert [(await option.inner_text()).split("\n")[0] for option in await options.all()] == MODELS
    groups = reader.page.get_by_role("listbox").get_by_role("group")
    headings = groups.locator(".menu-heading")
    await expect(headings).to_have_text(["Own server", "Anthropic", "Gemini", "Documents"])
    await reader.page.keyboard.press("Escape")
    await choose(reader, "Claude Fake")
    await reader.ask_and_wait("What do herons eat? [[n=5]]")
    await reader.page.reload()
    await expect(selector(reader)).to_have_accessible_name("Model: Claude Fake")
    await reader.ask_and_wait("And storks? [[n=5]]")
    answers = [message for message in await reader.stored() if message["role"] == "assistant"]
    assert [answer["provider"] for answer in answers] == ["anthropic", "anthropic"]
    await reader.page.get_by_role("button", name="New conversation").first.click()
    await expect(selector(reader)).to_have_accessible_name("Model: Automatic model")
    await reader.ask_and_wait("And owls? [[n=5]]")
    assert (await reader.stored())[-1]["provider"] == FIRST


async def test_the_list_covers_neither_the_composer_nor_the_heading(
    open_window: Open, many: ServerProcess
) -> None:
    """It opens beside what is being written, also in a low window, and shows that it goes on."""
    low = await open_window(many.url, viewport={"width": 1280, "height": 620}, reduced_motion="reduce")
    apart = """([menu, ...others]) => others.every(other => {
        const [a, b] = [menu, other].map(each => each.getBoundingClientRect());
        return (a.bottom <= b.top || a.top >= b.bottom) && a.top >= 0 && a.bottom <= innerHeight;
    })"""

    async def stands_apart(*others: str) -> bool:
        boxes = [await low.page.locator(each).element_handle() for each in (".model-menu", *others)]
        return bool(await low.page.evaluate(apart, boxes))

    await selector(low).click()
    assert await stands_apart(".composer", ".greeting")
    scroll = low.page.locator(".model-scroll")
    await expect(scroll).to_have_attribute("data-edges", "below")
    await low.page.keyboard.press("End")
    await expect(scroll).to_have_attribute("data-edges", "above")
    await low.page.keyboard.press("Escape")
    await low.ask_and_wait("What do herons eat? [[n=5]]")
    await selector(low).click()
    assert await stands_apart(".composer")


async def test_the_keyboard_alone_chooses(reader: Reader) -> None:
    """Arrows, letters, Enter and Escape do what they do in every listbox; focus comes back (W-6)."""
    await expect(selector(reader)).to_be_visible()
    await reader.composer.focus()
    await reader.page.keyboard.press("Tab")
    await expect(selector(reader)).to_be_focused()
    await reader.page.keyboard.press("Enter")
    listbox = reader.page.get_by_role("listbox", name="Choose a model")
    await expect(listbox).to_be_focused()
    await reader.page.keyboard.press("g")
    active = reader.page.locator("[role=option][data-active]")
    await expect(active).to_contain_text("Gemini Fake")
    await reader.page.keyboard.press("Escape")
    await expect(selector(reader)).to_be_focused()
    await expect(selector(reader)).to_have_accessible_name("Model: Automatic model")
    await reader.page.keyboard.press("ArrowDown")
    await reader.page.keyboard.press("End")
    await reader.page.keyboard.press("ArrowUp")
    await reader.page.keyboard.press("Enter")
    await expect(selector(reader)).to_have_accessible_name("Model: Gemini Fake")


async def test_an_answer_tells_on_demand_who_gave_it_and_at_what_cost(reader: Reader) -> None:
    """Model, provider, reason, tokens, cost and time; an unknown price is said to be unknown (M-7)."""
    await reader.ask_and_wait("Tell me of cranes [[n=6]]")
    panel = await details(reader)
    answer = (await reader.stored())[-1]
    await expect(panel).to_contain_text("fake, Own server")
    await expect(panel).to_contain_text(answer["why"])
    usage = answer["usage"]
    await expect(panel).to_contain_text(f"{usage['inputTokens']:,} read, {usage['outputTokens']:,} written")
    await expect(panel).to_contain_text("Unknown: there is no price for this model")
    await expect(panel).to_contain_text(re.compile(r"first word after .*\d s, whole after .*\d s"))
    await expect(panel.get_by_role("list")).to_have_count(0)


async def test_a_silent_change_of_model_is_told_only_to_who_asks(
    reader: Reader, provider: FakeProvider
) -> None:
    """Before the first word nobody is bothered; the details name everyone who was asked (M-6)."""
    provider.told["openai"] = "status=401"
    await reader.ask_and_wait("Tell me of egrets [[n=6]]")
    await expect(reader.answer).not_to_contain_text("broke off")
    panel = await details(reader)
    await expect(panel).to_contain_text("Claude Fake, Anthropic")
    attempts = panel.get_by_role("listitem")
    await expect(attempts).to_have_count(2)
    await expect(attempts.first).to_contain_text("did not answer: not set up correctly")
    await expect(attempts.last).to_contain_text("answered")
    assert await violations(reader) == []


async def test_a_change_in_mid_answer_is_one_quiet_line(reader: Reader, provider: FakeProvider) -> None:
    """What was said stays, the rest follows without a word twice, and one line says who went on (M-6)."""
    provider.told["openai"] = "rst@6"
    await reader.ask_and_wait("Tell me of bitterns [[n=12]]")
    await expect(reader.answer).to_contain_text("Own server broke off. Anthropic went on from there.")
    stored = (await reader.stored())[-1]
    await expect(reader.text).to_have_text(stored["content"].strip())
    panel = await details(reader)
    await expect(panel.get_by_role("listitem").first).to_contain_text("broke off: out of reach")


async def test_a_busy_model_says_when_to_ask_again(reader: Reader, provider: FakeProvider) -> None:
    """When nobody can answer, the question is kept and the time is counted down; nobody is named (M-11)."""
    provider.told |= dict.fromkeys(("openai", "anthropic", "gemini"), "status=429;ra=3")
    await reader.ask("Tell me of ibises [[n=5]]")
    await reader.settled("failed")
    trouble = reader.answer.locator(".trouble")
    await expect(trouble).to_contain_text("Your question is kept.")
    await expect(trouble.get_by_role("timer")).to_contain_text("Ask again in")
    panel = await details(reader)
    await expect(panel).to_contain_text("Nobody answered.")
    await expect(panel).not_to_contain_text("Answered by")
    await expect(panel.get_by_role("listitem").first).to_contain_text("did not answer: asked to slow down")
    assert await violations(reader) == []
    provider.told.clear()
    await trouble.get_by_role("button", name="Try again").click()
    await reader.settled()
    await expect(trouble).to_have_count(0)
    await expect(reader.questions).to_have_count(1)


async def test_a_model_that_is_gone_can_be_replaced_in_one_press(
    open_window: Open, many: ServerProcess
) -> None:
    """A choice from before a change of settings neither blocks the message nor passes silently."""
    old = await open_window(many.url)
    await old.page.evaluate("localStorage.setItem('parlour.model.new', 'openai/retired')")
    await old.page.reload()
    await expect(old.page.get_by_text("“retired” is no longer offered.")).to_be_visible()
    assert await violations(old) == []
    await old.ask_and_wait("Tell me of spoonbills [[n=5]]")
    assert (await old.stored())[-1]["provider"] == FIRST


async def test_on_a_phone_the_models_are_a_sheet(open_window: Open, many: ServerProcess) -> None:
    """One line high in a conversation; the sheet has everything, and gives the focus back (W-1)."""
    phone = await open_window(many.url, reduced_motion="reduce", **PHONE)
    await phone.ask_and_wait("Tell me of avocets [[n=5]]")
    await selector(phone).tap()
    sheet = phone.page.get_by_role("dialog", name="Choose a model")
    await expect(sheet.get_by_role("option")).to_have_count(len(MODELS))
    assert await violations(phone) == []
    await sheet.get_by_role("option", name=re.compile("^Gemini Fake")).tap()
    await expect(sheet).to_have_count(0)
    await expect(selector(phone)).to_have_accessible_name("Model: Gemini Fake")
    await expect(selector(phone)).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_choosing_and_details_have_no_accessibility_violation(
    open_window: Open, many: ServerProcess, scheme: str
) -> None:
    """axe finds nothing with the list and the details open, in either theme (W-6)."""
    reader = await open_window(many.url, color_scheme=scheme, reduced_motion="reduce")
    await reader.ask_and_wait("Tell me of gulls [[n=5]]")
    await details(reader)
    await selector(reader).click()
    await expect(reader.page.get_by_role("listbox")).to_be_visible()
    assert await violations(reader) == []
