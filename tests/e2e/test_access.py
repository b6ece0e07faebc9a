"""Everyone can use it: by keyboard, by screen reader, on a phone, from right to left (W-1, W-4, W-6)."""

import pytest
from playwright.async_api import expect

from tests.e2e.access import PHONE, violations
from tests.e2e.conftest import Open
from tests.e2e.reader import Reader
from tests.fakes.script import encoded
from tests.harness.process import ServerProcess

pytestmark = pytest.mark.anyio

RICH = """## Herons

They stand **still**, for *hours*. Read `heron.md`.

1. one
2. two
   - inner

| Name | Weight |
|---|---:|
| Grey | 1.5 kg |

> A quotation.

```python
def wait(): return "still"  # and still
```

A [link](https://example.org/herons).
"""
ARABIC = "مرحبا، هذا جواب. هل تريد المزيد؟\n\n- أولاً\n- ثانياً\n\n```bash\ncurl -N http://localhost\n```\n"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_an_accessibility_violation(
    open_window: Open, server: ServerProcess, builtin_server: ServerProcess, scheme: str
) -> None:
    """axe finds nothing on any screen, in either theme."""
    reader = await open_window(server.url, color_scheme=scheme, reduced_motion="reduce")
    assert await violations(reader) == []
    await reader.ask_and_wait(f"Tell me all [[text={encoded(RICH)}]]")
    assert await violations(reader) == []
    await reader.ask("And fail [[status=401]]")
    await reader.settled("failed")
    await reader.page.get_by_role("button", name="Settings").click()
    await expect(reader.page.get_by_role("menu")).to_be_visible()
    assert await violations(reader) == []
    await reader.page.keyboard.press("Escape")
    await reader.page.context.set_offline(True)
    await reader.ask("And wait")
    await expect(reader.page.get_by_text("Waiting to send")).to_be_visible()
    assert await violations(reader) == []

    cited = await open_window(builtin_server.url, color_scheme=scheme, reduced_motion="reduce")
    await cited.ask_and_wait("How do I connect OpenAI?")
    await cited.answer.get_by_role("button", name="Source 1:").first.click()
    await expect(cited.answer.locator(".note.open")).to_be_visible()
    assert await violations(cited) == []


async def test_a_phone_shows_everything_in_one_column(
    open_window: Open, builtin_server: ServerProcess
) -> None:
    """Nothing scrolls sideways, the sidebar is a drawer, a source opens as a sheet."""
    reader = await open_window(builtin_server.url, reduced_motion="reduce", **PHONE)
    await in_one_column(reader)
    await reader.ask_and_wait("How do I connect OpenAI?")
    await in_one_column(reader)
    assert await violations(reader) == []
    pill = reader.page.locator(".source-pill").first
    await pill.tap()
    await expect(reader.page.locator("dialog.sheet blockquote")).not_to_be_empty()
    assert await violations(reader) == []
    await reader.page.keyboard.press("Escape")
    await expect(reader.page.locator("dialog.sheet")).to_have_count(0)
    await expect(pill).to_be_focused()
    await reader.page.get_by_role("button", name="Open sidebar").tap()
    await expect(reader.page.get_by_role("link", name="How do I connect OpenAI?")).to_be_in_viewport()
    assert await violations(reader) == []
    await reader.page.keyboard.press("Escape")
    await expect(reader.page.get_by_role("link", name="How do I connect OpenAI?")).not_to_be_in_viewport()


@pytest.mark.parametrize("width", [320, 390, 768, 1024])
async def test_wide_content_scrolls_in_its_own_box(
    open_window: Open, server: ServerProcess, width: int
) -> None:
    """Long words, code and tables never widen the page."""
    reader = await open_window(server.url, viewport={"width": width, "height": 700})
    wide = "x" * 300 + f"\n\n```\n{'y' * 400}\n```\n\n|" + "column |" * 20 + "\n|" + "---|" * 20 + "\n"
    await reader.ask_and_wait(f"{'z' * 200} [[text={encoded(wide)}]]")
    await in_one_column(reader)


async def in_one_column(reader: Reader) -> None:
    """Assert that neither the page nor the conversation scrolls sideways."""
    over = await reader.page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll(".scroller")]
            .filter(box => box.scrollWidth > box.clientWidth).map(box => box.className)"""
    )
    assert over == []


async def test_the_keyboard_alone_is_enough(reader: Reader) -> None:
    """Ask, copy, rate, open the menu and begin anew without a pointer."""
    await expect(reader.composer).to_be_focused()
    await reader.page.keyboard.type("By keyboard [[n=3]]")
    await reader.page.keyboard.press("Shift+Enter")
    await reader.page.keyboard.type("and a second line")
    await expect(reader.questions).to_have_count(0)
    await reader.page.keyboard.press("Enter")
    await expect(reader.questions).to_have_text(["By keyboard [[n=3]]\nand a second line"])
    await reader.settled()
    await expect(reader.composer).to_be_focused()
    for name in ("How this answer came about", "Not helpful", "Helpful"):
        await reader.page.keyboard.press("Shift+Tab")
        focused = reader.answer.get_by_role("button", name=name, exact=True)
        await expect(focused).to_be_focused()
    await reader.page.keyboard.press("Enter")
    await expect(reader.answer.get_by_role("button", name="Helpful", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    title = reader.page.get_by_role("heading", level=1).get_by_role("button")
    await title.focus()
    await reader.page.keyboard.press("ArrowDown")
    await expect(reader.page.get_by_role("menuitem", name="Rename")).to_be_focused()
    await reader.page.keyboard.press("ArrowUp")
    await expect(reader.page.get_by_role("menuitem", name="Delete")).to_be_focused()
    await reader.page.keyboard.press("Escape")
    await expect(title).to_be_focused()


async def test_enter_belongs_to_the_input_method_while_it_composes(reader: Reader) -> None:
    """Choosing a candidate with Enter sends nothing."""
    cdp = await reader.page.context.new_cdp_session(reader.page)
    await reader.composer.focus()
    await cdp.send("Input.imeSetComposition", {"text": "にほんご", "selectionStart": 4, "selectionEnd": 4})
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229, "nativeVirtualKeyCode": 229}
    await cdp.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    await cdp.send("Input.insertText", {"text": "日本語"})
    await expect(reader.composer).to_have_value("日本語")
    await expect(reader.questions).to_have_count(0)
    await reader.composer.press("Enter")
    await expect(reader.questions).to_have_text(["日本語"])


async def test_words_from_right_to_left_stand_right_and_code_does_not(reader: Reader) -> None:
    """Each block sets its own direction; code is always left to right (W-1)."""
    await reader.ask_and_wait(f"مرحبا؟ [[text={encoded(ARABIC)}]]")
    direction = "element => getComputedStyle(element).direction"
    for selector, expected in (("p", "rtl"), ("ul", "rtl"), ("li", "rtl"), (".code", "ltr")):
        assert await reader.text.locator(selector).first.evaluate(direction) == expected, selector
    assert await reader.questions.first.evaluate(direction) == "rtl"
    overhang = """list => [...list.children].every(item =>
        item.getBoundingClientRect().right <= list.getBoundingClientRect().right - 16)"""
    assert await reader.text.locator("ul").evaluate(overhang)


async def test_the_page_follows_only_a_reader_who_is_at_its_end(reader: Reader) -> None:
    """Scrolling up is never fought; one press leads back to the newest words (W-4)."""
    lines = encoded("\n\n".join(f"Line {number}." for number in range(120)))
    await reader.ask(f"Read to me [[text={lines};dt=0.02]]")
    scroller = reader.page.locator(".scroller")
    await expect(reader.text).to_contain_text("Line 60.")
    assert await scroller.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") < 64
    await scroller.hover()
    await reader.page.mouse.wheel(0, -600)
    latest = reader.page.get_by_role("button", name="Latest")
    await expect(latest).to_be_visible()
    top = await scroller.evaluate("box => box.scrollTop")
    await reader.settled()
    assert await scroller.evaluate("box => box.scrollTop") == top
    await latest.click()
    await expect(latest).to_have_count(0)
    await expect(reader.text.get_by_text("Line 119.")).to_be_in_viewport()


async def test_a_theme_that_was_chosen_holds_from_the_first_paint(reader: Reader) -> None:
    """The choice outlives a reload, and is there before the page's own script (W-1)."""
    await reader.page.get_by_role("button", name="Settings").click()
    await reader.page.get_by_role("menuitemradio", name="Dark").click()
    await reader.page.reload(wait_until="commit")
    await expect(reader.page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(reader.composer).to_be_visible()
    assert await reader.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
