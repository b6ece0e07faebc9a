"""A person at the page: what they can press and see, and the promises that every page keeps unasked."""

from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

PATIENCE_MS = 20_000  # for what must happen at all; a busy machine is not a fault
NETWORK_NOISE = "Failed to load resource"  # the browser's own line for a request that a test made fail


@dataclass
class Reader:
    """One browser window with storage of its own."""

    page: Page
    url: str
    foreign: list[str] = field(default_factory=list)
    """Requests that left the origin: none may."""
    complaints: list[str] = field(default_factory=list)
    """Script errors, policy violations and warnings of the console: none may be."""

    @classmethod
    async def at(cls, context: BrowserContext, url: str) -> "Reader":
        """Open a window, watch it, and go to the page."""
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        reader = cls(page, url.partition("/#")[0])
        page.on("request", reader._requested)
        page.on("console", reader._said)
        page.on("pageerror", lambda error: reader.complaints.append(str(error)))
        await page.goto(url)
        await expect(reader.composer).to_be_visible()
        return reader

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.foreign.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and NETWORK_NOISE not in message.text:
            self.complaints.append(message.text)

    @property
    def composer(self) -> Locator:
        """Where the person writes."""
        return self.page.get_by_role("textbox", name="Message")

    @property
    def stop(self) -> Locator:
        """The button that ends an answer; it is there only while one runs."""
        return self.page.get_by_role("button", name="Stop", exact=True)

    @property
    def questions(self) -> Locator:
        """What the person said."""
        return self.page.locator(".bubble")

    @property
    def answers(self) -> Locator:
        """What the assistant said, each with its actions."""
        return self.page.locator(".turn.assistant")

    @property
    def answer(self) -> Locator:
        """The last answer."""
        return self.answers.last

    @property
    def text(self) -> Locator:
        """The words of the last answer."""
        return self.answer.locator(".prose")

    async def ask(self, question: str) -> None:
        """Write and press Enter."""
        await self.composer.fill(question)
        await self.composer.press("Enter")

    async def settled(self, status: str = "completed") -> None:
        """Wait until the last answer has come to this end."""
        await expect(self.answer).to_have_attribute("data-status", status)

    async def arriving(self) -> None:
        """Wait until words of the last answer are there and more are on their way."""
        await expect(self.text).not_to_be_empty()
        await expect(self.answer).to_have_attribute("data-status", "streaming")

    async def ask_and_wait(self, question: str) -> None:
        """Ask, and wait for the whole answer."""
        before = await self.answers.count()
        await self.ask(question)
        await expect(self.answers).to_have_count(before + 1)
        await self.settled()

    async def session_id(self) -> str:
        """Return the id of the conversation in view, as the address names it."""
        await self.page.wait_for_url("**/#/c/*")
        return self.page.url.rpartition("/")[2]

    async def api(self, path: str) -> Any:  # noqa: ANN401 - whatever the server says
        """Ask the server as this person, past the page."""
        return await self.page.evaluate(
            """async (path) => {
                const token = localStorage.getItem("parlour.token");
                const response = await fetch(path, {headers: {Authorization: `Bearer ${token}`}});
                return response.json();
            }""",
            path,
        )

    async def stored(self) -> list[dict[str, Any]]:
        """Return the messages that the server keeps of the conversation in view."""
        page = await self.api(f"/api/chat/sessions/{await self.session_id()}/messages")
        found: list[dict[str, Any]] = page["items"]
        return found
