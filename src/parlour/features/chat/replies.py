"""Asking for replies and reading them: what every door does with a message.

Each act names the person, and touches nobody else's rows.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from parlour.features.assistants.service import Assistants
from parlour.features.chat.log.live import StreamCut
from parlour.features.chat.log.reading import Log
from parlour.features.chat.schemas import RegenerateBody, SendBody, fingerprint
from parlour.features.chat.service import form_of_id
from parlour.features.chat.store import runs, sessions
from parlour.features.chat.store.sessions import Release
from parlour.features.chat.turn import Turns
from parlour.features.chat.values import Accepted, Row, Run, Send
from parlour.infra.storage.database import Database
from parlour.llm.model import Turn
from parlour.vocabulary.errors import FieldError, InvalidInput, RunFailed, Unavailable
from parlour.vocabulary.events import BEGINNING, Entry, Position
from parlour.vocabulary.messages import Status
from parlour.vocabulary.principal import Principal

SHORTEST_WAIT_SECONDS = 0.2  # of a poll: enough to look into the database
WHOLE_REPLY_SECONDS = 60.0  # a reply that takes longer is fetched or followed instead


class Replies:
    """Takes messages in, and lets their senders see the replies."""

    def __init__(
        self,
        *,
        database: Database,
        log: Log,
        turns: Turns,
        assistants: Assistants,
        message_limit: int,
        history_limit: int,
        release: Release,
    ) -> None:
        """Serve from ``database``; messages are at most ``message_limit`` characters.

        A new session can begin with ``history_limit`` of them, for no model is shown more.

        ``release`` gives back what was reserved for answers that will not begin.
        """
        self._release = release
        self._database = database
        self._log = log
        self._turns = turns
        self._assistants = assistants
        self._message_limit = message_limit
        self._history_limit = history_limit
        self._closed = "Parlour is starting. Try again in a moment."

    def open(self) -> None:
        """Accept messages: whatever answers them is at work now."""
        self._closed = ""

    def drain(self) -> None:
        """Accept no more messages: this process goes away."""
        self._closed = "This server is about to restart. Try again in a moment."

    def offers(self, model: str | None) -> bool:
        """Tell whether a model can be asked for."""
        return self._assistants.offers(model)

    def history(self, earlier: Sequence[Turn]) -> tuple[Turn, ...]:
        """Return what a new session begins with of all that was said elsewhere: the last of it.

        An answer of somebody else's model is cut where it is too long. Raises InvalidInput for a person's
        message that is.
        """
        last = earlier[-self._history_limit :] if self._history_limit else ()
        for turn in last:
            if turn.role == "user":
                self._check_length(turn.content)
        return tuple(replace(turn, content=turn.content[: self._message_limit]) for turn in last)

    async def send(self, principal: Principal, body: SendBody, *, earlier: Sequence[Turn] = ()) -> Accepted:
        """Keep a message and begin its answer; a new session begins with ``earlier``, said elsewhere.

        Raises InvalidInput, NotFound, Conflict, Forbidden, TooMany, OverBudget, Unavailable.
        """
        self._check_text(body.message)
        self._check_open()
        self._assistants.check_model(principal, body.model)
        assistant = self._assistants.find(body.assistant_id)
        send = Send(
            text=body.message,
            assistant_id=assistant.id,
            session_id=_known_form(body.session_id),
            parent_id=_known_form(body.parent_id),
            model=body.model,
            client_message_id=body.client_message_id,
            fingerprint=fingerprint(
                body.message, body.parent_id, body.model, body.assistant_id, body.context
            ),
            context=body.context,
            earlier=self.history(earlier),
        )
        return await self._turns.accept(principal, send)

    async def regenerate(self, principal: Principal, message_id: str, body: RegenerateBody) -> Accepted:
        """Begin another answer beside one's own. Raises like :meth:`send`."""
        self._check_open()
        self._assistants.check_model(principal, body.model)
        send = Send(
            text="",
            assistant_id=self._assistants.default.id,
            model=body.model,
            client_message_id=body.client_message_id,
            fingerprint=fingerprint("regenerate", message_id, body.model),
        )
        return await self._turns.accept_again(principal, form_of_id(message_id), send)

    async def reply(self, principal: Principal, run: Run) -> Row | None:
        """Wait for a whole reply and return its message; None if it takes too long.

        Raises RunFailed with the run's own code and sentence when it failed.
        """
        try:
            async with asyncio.timeout(WHOLE_REPLY_SECONDS):
                await self._log.wait(run)
        except (TimeoutError, StreamCut):
            return None
        message = await self._database.read(
            principal, lambda connection: sessions.read_message(connection, principal, run.message_id)
        )
        if message["status"] == Status.FAILED.value:
            error: dict[str, Any] = message["error"]
            raise RunFailed(
                code=error["code"], sentence=error["message"], retryable=error["retryable"], run_id=run.id
            )
        return message

    def follow(self, run: Run, after: Position = BEGINNING) -> AsyncGenerator[list[Entry], None]:
        """Yield a run's events after a position; see :meth:`Log.read`."""
        return self._log.read(run, after)

    async def poll(self, run: Run, after: Position, *, wait: float) -> tuple[list[Entry], bool]:
        """Return the events after a position, waiting up to ``wait`` seconds for one, and if that is all."""
        entries: list[Entry] = []
        finished = False
        with suppress(TimeoutError, StreamCut):
            async with (
                asyncio.timeout(max(wait, SHORTEST_WAIT_SECONDS)),
                aclosing(self._log.read(run, after)) as batches,
            ):
                async for batch in batches:
                    entries.extend(batch)
                    if batch:
                        break
                else:
                    finished = True
        return entries, finished

    async def run(self, principal: Principal, run_id: str) -> Run:
        """Return one's own run. Raises NotFound."""
        form_of_id(run_id)
        return await self._database.read(
            principal, lambda connection: runs.own_run(connection, principal, run_id)
        )

    async def stop(self, principal: Principal, run_id: str) -> Run:
        """Ask a run of one's own to stop and return its state; one that has ended stays as it is."""
        form_of_id(run_id)
        now = datetime.now(UTC)

        def ask(connection: Any) -> Run:  # noqa: ANN401 - a connection is the store's business
            runs.own_run(connection, principal, run_id)
            sessions.ask_to_stop(connection, principal, run_id, now=now, release=self._release)
            return runs.own_run(connection, principal, run_id)

        run = await self._database.write(principal, ask)
        self._turns.notice_stops({run_id})
        return run

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise InvalidInput(FieldError("message", "Write something: the message is empty.", "empty"))
        self._check_length(text)

    def _check_length(self, text: str) -> None:
        length = len(text.strip())
        if length > self._message_limit:
            raise InvalidInput(
                FieldError(
                    "message",
                    f"{length:,} characters is over the limit of {self._message_limit:,}. Shorten it.",
                    "too_long",
                )
            )

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(self._closed, retry_after=1)


def _known_form(text: str | None) -> str | None:
    return None if text is None else form_of_id(text)
