"""What people do while servers die: visitors who send, read, stop, repeat themselves, and come back.

Every act is written down as a :class:`Sent`, with what its sender was told and when; the checker compares
that with what is stored. A visitor behaves like a good client: it repeats an unanswered send with the same
client message id, and resumes a broken stream from the last event it saw.
"""

import asyncio
import random
import time
from contextlib import aclosing
from dataclasses import dataclass, field

from tests.fakes.chat_wire import answer_pieces
from tests.fakes.script import script_of
from tests.harness.client import BROKEN, Api, Declined, Told

RETRY_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
WORDS = ("plain words", "größer 漢字 🎈", "lines\u2028and \U0001f469\u200d\U0001f680")


@dataclass(slots=True)
class Sent:
    """One message, as its sender knows it."""

    person_id: str
    client_id: str
    text: str
    session_id: str | None
    begun: float = field(default_factory=time.monotonic)
    attempts: int = 0
    acknowledged: bool = False
    """The server said that it has it."""
    run_id: str | None = None
    message_id: str | None = None
    user_message_id: str | None = None
    reply: str | None = None
    """What a whole (not streamed) reply said."""
    readers: list[Told] = field(default_factory=list)
    stop_asked: bool = False
    answered_at: float | None = None

    @property
    def expected(self) -> str:
        """What the model answers when nothing goes wrong."""
        return "".join(answer_pieces(self.text, script_of("fake", self.text), []))

    def learn(self, start: dict[str, object]) -> None:
        """Take over the ids that the server gave; they never change."""
        known = (self.run_id, self.message_id, self.user_message_id, self.session_id)
        told = (start["runId"], start["messageId"], start["userMessageId"], start["sessionId"])
        assert all(old in (None, new) for old, new in zip(known, told, strict=True)), f"{known} became {told}"
        self.run_id, self.message_id, self.user_message_id, self.session_id = map(str, told)
        self.acknowledged = True


@dataclass(slots=True)
class Door:
    """The way to the server: shut while it is down, and where it is."""

    url: str
    open: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing new is begun; what was begun is brought to its end."""

    async def again(self) -> None:
        """Wait as a client waits before it tries again."""
        await asyncio.sleep(RETRY_SECONDS)
        await self.open.wait()


class Visitor:
    """One person, with sessions old and new."""

    def __init__(self, api: Api, door: Door, history: list[Sent]) -> None:
        """Write every act down in ``history``."""
        self._api = api
        self._door = door
        self._history = history
        self._chance = random.Random(0)
        self._sessions: list[str] = []

    async def visit(self, chance: random.Random) -> None:
        """Do what ``chance`` says until the door closes; bring what was begun to its end."""
        self._chance = chance
        while not self._door.closing.is_set():
            sent = self._new_message()
            acts = [self._act(sent)]
            if sent.session_id is not None and self._chance.random() < 0.25:
                # Does not wait for the answer before the next question: the second run has to queue.
                acts.append(self._act(self._new_message(sent.session_id)))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.gather(*acts)
            if sent.session_id is not None and sent.session_id not in self._sessions:
                self._sessions.append(sent.session_id)
            # Sessions grow old, but not without bound.
            self._sessions = self._sessions[-4:]

    def _new_message(self, session_id: str | None = None) -> Sent:
        chance = self._chance
        if session_id is None and self._sessions and chance.random() < 0.7:
            session_id = chance.choice(self._sessions)
        pieces = chance.choice((1, 5, 20, 60, 120))
        pause = chance.choice(("0", "2ms", "10ms"))
        first = chance.choice(("0", "0", "50ms", "200ms"))
        client_id = f"{chance.getrandbits(64):016x}"
        words = chance.choice(WORDS)
        text = f"{words} {client_id} [[n={pieces};dt={pause};ttft={first}]]"
        sent = Sent(self._api.person_id or "", client_id, text, session_id)
        self._history.append(sent)
        return sent

    async def _act(self, sent: Sent) -> None:
        streamed = self._chance.random() < 0.6
        acts = [self._stream(sent) if streamed else self._whole(sent)]
        if self._chance.random() < 0.15:
            acts.append(self._whole(sent))  # a double click: the same message at the same time
        if streamed and self._chance.random() < 0.3:
            acts.append(self._second_reader(sent))
        if streamed and self._chance.random() < 0.15:
            acts.append(self._stop(sent))
        await asyncio.gather(*acts)

    async def _whole(self, sent: Sent) -> None:
        fields = {"clientMessageId": sent.client_id} | (
            {"sessionId": sent.session_id} if sent.session_id else {}
        )
        while True:
            sent.attempts += 1
            try:
                status, body, _ = await self._api.send(sent.text, **fields)
            except BROKEN:
                await self._door.again()
                continue
            if status == 503:  # the server goes away, or has lost its database
                assert body["retryable"], body
                await self._door.again()
                continue
            assert status in (200, 202), (status, body)
            sent.learn(body)
            if status == 202:
                await self._follow(sent, Told())
                return
            sent.reply = body["message"]["content"]
            self._answered(sent)
            return

    async def _stream(self, sent: Sent) -> None:
        told = Told()
        sent.readers.append(told)
        fields = {"clientMessageId": sent.client_id} | (
            {"sessionId": sent.session_id} if sent.session_id else {}
        )
        while told.start is None:
            sent.attempts += 1
            try:
                async with aclosing(self._api.stream(sent.text, told, **fields)) as frames:
                    async for _ in frames:
                        if told.start is not None and sent.run_id is None:
                            sent.learn(told.start)
            except (Declined, *BROKEN) as error:
                _must_pass(error)
                await self._door.again()
            if told.start is not None:
                sent.learn(told.start)
        await self._follow(sent, told)

    async def _follow(self, sent: Sent, told: Told) -> None:
        if all(told is not reader for reader in sent.readers):
            sent.readers.append(told)
        assert sent.run_id is not None
        while not told.closed:
            try:
                async with aclosing(self._api.events(sent.run_id, told)) as frames:
                    async for _ in frames:
                        pass
            except (Declined, *BROKEN) as error:
                _must_pass(error)
            if not told.closed:
                await self._door.again()
        self._answered(sent)

    async def _second_reader(self, sent: Sent) -> None:
        """Look on from another tab, from the beginning."""
        while sent.run_id is None:
            await self._door.again()
        await self._follow(sent, Told())

    async def _stop(self, sent: Sent) -> None:
        while sent.run_id is None:
            await self._door.again()
        sent.stop_asked = True
        while True:
            try:
                status, body, _ = await self._api.call("POST", f"/api/chat/runs/{sent.run_id}/stop")
            except BROKEN:
                await self._door.again()
                continue
            if status == 503:
                await self._door.again()
                continue
            assert status == 200, body
            return

    @staticmethod
    def _answered(sent: Sent) -> None:
        sent.answered_at = sent.answered_at or time.monotonic()


def _must_pass(error: Exception) -> None:
    """Raise what trying again cannot heal."""
    if isinstance(error, Declined) and not (error.status == 503 and error.problem["retryable"]):
        raise error
