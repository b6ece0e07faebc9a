"""The sidebar: finding, naming, putting away and bringing back (C-1); and coming in as owner (S-1)."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.conftest import Open
from tests.e2e.reader import Reader
from tests.harness.process import ServerProcess

pytestmark = pytest.mark.anyio


@pytest.fixture
async def reader(open_window: Open, builtin_server: ServerProcess) -> Reader:
    """Somebody at the server as it comes, where a title is made of the first words."""
    return await open_window(builtin_server.url)


def row(reader: Reader, title: str) -> Locator:
    """Find a conversation in the sidebar."""
    return reader.page.locator(".session").filter(has_text=title)


async def choose(reader: Reader, title: str, act: str) -> None:
    """Open a conversation's menu and choose from it."""
    await row(reader, title).hover()
    await row(reader, title).get_by_role("button").click()
    await reader.page.get_by_role("menuitem", name=act).click()


async def two_conversations(reader: Reader) -> None:
    """Have one about herons, and then one about storks in view."""
    await reader.ask_and_wait("All about herons")
    await reader.page.get_by_role("button", name="New conversation").first.click()
    await expect(reader.answers).to_have_count(0)
    await reader.ask_and_wait("All about storks")
    await expect(reader.page.locator(".session")).to_have_count(2)


async def test_a_conversation_is_found_renamed_and_opened_again(reader: Reader) -> None:
    """Search looks at the server; a new name holds over a reload."""
    await two_conversations(reader)
    await reader.page.keyboard.press("Control+k")
    search = reader.page.get_by_role("searchbox")
    await expect(search).to_be_focused()
    await search.fill("herons")
    await expect(reader.page.locator(".session")).to_have_count(1)
    await choose(reader, "All about herons", "Rename")
    name = reader.page.get_by_role("textbox", name="Title of the conversation")
    await name.fill("Grey birds")
    await name.press("Enter")
    await search.fill("belt drive")
    await expect(reader.page.get_by_text("No conversation has “belt drive”.")).to_be_visible()
    await search.press("Escape")
    await row(reader, "Grey birds").get_by_role("link").click()
    await expect(reader.questions).to_have_text([re.compile("All about herons")])
    await reader.page.reload()
    await expect(row(reader, "Grey birds")).to_have_class(re.compile("current"))


async def test_a_deleted_conversation_comes_back_on_undo(reader: Reader) -> None:
    """Deleting is one press, and so is regretting it."""
    await two_conversations(reader)
    await choose(reader, "All about storks", "Delete")
    await expect(row(reader, "All about storks")).to_have_count(0)
    await expect(reader.answers).to_have_count(0)
    await reader.page.get_by_role("button", name="Undo").click()
    await row(reader, "All about storks").get_by_role("link").click()
    await expect(reader.answers).to_have_count(1)


async def test_an_archived_conversation_is_out_of_the_way_and_not_gone(reader: Reader) -> None:
    """The archive is reached from the person's menu, and gives back."""
    await two_conversations(reader)
    await choose(reader, "All about herons", "Archive")
    await expect(row(reader, "All about herons")).to_have_count(0)
    await reader.page.get_by_role("button", name="Settings").click()
    await reader.page.get_by_role("menuitem", name="Archived").click()
    await choose(reader, "All about herons", "Bring back")
    await reader.page.get_by_role("button", name="Back to conversations").click()
    await expect(row(reader, "All about herons")).to_have_count(1)


async def test_the_way_back_leads_through_conversations(reader: Reader) -> None:
    """Back and forward of the browser open what was open."""
    await two_conversations(reader)
    await row(reader, "All about herons").get_by_role("link").click()
    await expect(reader.questions).to_have_text([re.compile("herons")])
    await reader.page.go_back()
    await expect(reader.questions).to_have_text([re.compile("storks")])


async def test_an_unknown_conversation_is_told_plainly(reader: Reader) -> None:
    """What is not there and what is not yours look alike."""
    await reader.page.goto(f"{reader.url}/#/c/01a00000-0000-7000-8000-000000000000")
    await reader.page.reload()
    await expect(reader.page.get_by_text("There is no conversation here.")).to_be_visible()


async def test_the_owner_comes_in_by_the_printed_link_once(
    open_window: Open, reader: Reader, builtin_server: ServerProcess
) -> None:
    """The link signs in, leaves the address bar, and does not work a second time."""
    link = re.search(r"#sign-in=\S+", builtin_server.log)
    assert link is not None
    await reader.page.goto(f"{reader.url}/{link[0]}")
    await expect(reader.page.get_by_text("Signed in as owner")).to_be_visible()
    await expect(reader.page.locator(".person-name")).to_have_text("Owner")
    assert "sign-in" not in reader.page.url
    late = await open_window(f"{builtin_server.url}/{link[0]}")
    await expect(late.page.get_by_text("This sign-in link no longer works.")).to_be_visible()
    await expect(late.page.locator(".person-name")).to_have_text("Visitor")


async def test_a_conversation_keeps_its_name_whatever_the_list_shows(reader: Reader) -> None:
    """A search that leaves it out of the sidebar does not take the title from the bar."""
    await reader.ask_and_wait("All about herons")
    title = reader.page.get_by_role("heading", level=1)
    await expect(title).to_have_text("All about herons")
    await expect(reader.page).to_have_title("All about herons · Parlour")
    await reader.page.get_by_role("searchbox").fill("belt drive")
    await expect(row(reader, "All about herons")).to_have_count(0)
    await expect(title).to_have_text("All about herons")
    await reader.page.reload()
    await expect(title).to_have_text("All about herons")
