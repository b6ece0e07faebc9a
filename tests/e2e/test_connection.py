"""What a bad network may do: nothing is lost, nothing comes twice, and the page says where things stand."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Open
from tests.e2e.line import Line
from tests.e2e.reader import Reader
from tests.fakes.provider import FakeProvider
from tests.harness.process import ServerProcess

pytestmark = pytest.mark.anyio


async def same_as_stored(reader: Reader) -> None:
    """Assert that the page shows what the server keeps: every message, once, in order."""
    stored = await reader.stored()
    said = [each["content"] for each in stored if each["role"] == "user"]
    await expect(reader.questions).to_have_text(said)
    await expect(reader.answers).to_have_count(len(stored) - len(said))
    await expect(reader.text).to_have_text(stored[-1]["content"].strip())


async def test_a_reload_in_mid_answer_shows_it_going_on(reader: Reader) -> None:
    """The run does not depend on the page; the page takes it up from its start (C-3, C-4)."""
    await reader.ask("Tell a long tale [[n=150;dt=0.03]]")
    await reader.arriving()
    await reader.page.reload()
    await reader.arriving()
    await expect(reader.stop).to_be_visible()
    await reader.settled()
    await same_as_stored(reader)
    assert (await reader.stored())[-1]["content"].endswith("-149")


async def test_a_cut_line_is_mended_without_loss_or_repeat(open_window: Open, line: Line) -> None:
    """The text continues where it stood, on another connection (C-4)."""
    reader = await open_window(line.url)
    await reader.ask("Tell it through tunnels [[n=150;dt=0.03]]")
    for word in ("-20", "-60", "-100"):
        await expect(reader.text).to_contain_text(word)
        line.cut()
    await reader.settled()
    assert line.cuts == 3
    await same_as_stored(reader)


async def test_a_line_that_stays_down_is_told_after_a_while(open_window: Open, line: Line) -> None:
    """No banner for what mends itself; then one word, and the answer all the same."""
    reader = await open_window(line.url)
    await reader.ask("Tell it to the hills [[n=120;dt=0.02]]")
    await reader.arriving()
    line.down = True
    line.cut()
    notice = reader.page.locator(".bar-line")
    await expect(notice).to_have_text("")
    await expect(notice).to_have_text("Reconnecting")
    line.down = False
    await reader.settled()
    await expect(notice).to_have_text("")
    await same_as_stored(reader)


async def test_a_killed_server_that_comes_back_goes_on_answering(
    open_window: Open, provider: FakeProvider, built_page: Path, tmp_path: Path
) -> None:
    """A reader sees the run taken up again after ``kill -9`` and restart (B-1)."""
    environment = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.base_url, "OPENAI_MODEL": "fake"}
    async with ServerProcess(tmp_path / "data", environment=environment) as server:
        await server.start()
        reader = await open_window(server.url)
        await reader.ask("Tell it twice if you must [[n=150;dt=0.03]]")
        await expect(reader.text).to_contain_text("-30")
        await server.kill_and_restart()
        await reader.settled()
        await same_as_stored(reader)


async def test_offline_messages_wait_and_go_out_once_and_in_order(
    reader: Reader, provider: FakeProvider
) -> None:
    """What is sent offline is kept, says so, and is asked once on return (W-3, B-2)."""
    await reader.ask_and_wait("Before the tunnel [[n=3]]")
    await reader.page.context.set_offline(True)
    await expect(reader.page.get_by_text("What you send is kept and goes out")).to_be_visible()
    await reader.ask("First in the tunnel [[n=4]]")
    await reader.ask("Second in the tunnel [[n=5]]")
    await expect(reader.page.get_by_text("Waiting to send")).to_have_count(2)
    assert provider.calls("in the tunnel") == []
    await reader.page.context.set_offline(False)
    await expect(reader.answers).to_have_count(3)
    await reader.settled()
    await expect(reader.page.get_by_text("Waiting to send")).to_have_count(0)
    stored = await reader.stored()
    assert [each["content"].partition(" [[")[0] for each in stored if each["role"] == "user"] == [
        "Before the tunnel",
        "First in the tunnel",
        "Second in the tunnel",
    ]
    await same_as_stored(reader)


async def test_a_waiting_message_can_be_taken_back(reader: Reader, provider: FakeProvider) -> None:
    """Until it has gone out, a message is the person's."""
    await reader.page.context.set_offline(True)
    await reader.ask("On second thoughts")
    await reader.page.get_by_role("button", name="Remove").click()
    await expect(reader.questions).to_have_count(0)
    await reader.page.context.set_offline(False)
    await reader.ask_and_wait("This one [[n=3]]")
    assert provider.calls("On second thoughts") == []


async def test_a_lost_acknowledgement_does_not_send_twice(
    open_window: Open, line: Line, provider: FakeProvider
) -> None:
    """The answer to a send that is lost on the way back leads to one message (C-7)."""
    reader = await open_window(line.url)
    provider.arrived.clear()
    question = "Did you hear me? [[hold=0.3;n=40;dt=0.02]]"
    await reader.ask(question)
    await provider.arrived.wait()
    line.cut()
    await reader.settled()
    assert [each["content"] for each in await reader.stored() if each["role"] == "user"] == [question]
    await same_as_stored(reader)


async def test_a_send_that_fails_keeps_its_words_and_offers_another_try(
    open_window: Open, line: Line
) -> None:
    """The text is never lost, over a reload neither (W-3)."""
    reader = await open_window(line.url)
    line.down = True
    line.cut()
    await reader.ask("Can anyone hear this? [[n=3]]")
    await expect(reader.page.get_by_text("Not sent: the server could not be reached.")).to_be_visible()
    await expect(reader.questions).to_have_text(["Can anyone hear this? [[n=3]]"])
    line.down = False
    await reader.page.get_by_role("log").get_by_role("button", name="Try again").click()
    await reader.settled()
    await same_as_stored(reader)


async def test_a_draft_survives_a_reload_and_belongs_to_its_conversation(
    open_window: Open, builtin_server: ServerProcess
) -> None:
    """What is typed is kept per conversation (W-3)."""
    reader = await open_window(builtin_server.url)
    await reader.ask_and_wait("A conversation of its own")
    await reader.composer.fill("half a thought")
    await reader.page.get_by_role("button", name="New conversation").first.click()
    await expect(reader.composer).to_have_value("")
    await reader.composer.fill("another beginning")
    await reader.page.reload()
    await expect(reader.composer).to_have_value("another beginning")
    await reader.page.get_by_role("link", name="A conversation of its own").click()
    await expect(reader.composer).to_have_value("half a thought")
