"""Titles of sessions: the first words at once, a better one by a model after the first exchange."""

from collections.abc import Callable
from contextlib import aclosing

import structlog

from parlour.features.chat.store import sessions
from parlour.features.chat.values import Outcome, Run
from parlour.infra.storage.database import WORKER, Database
from parlour.llm.model import Model, Prompt, Text, Turn
from parlour.vocabulary.errors import ParlourError
from parlour.vocabulary.messages import FinishReason, MessageRole, Status

LONGEST = 60

_INSTRUCTION = (
    "Write a title of two to six words for this conversation, in its own language. "
    "Answer with the title alone: no quotation marks, no full stop."
)
_SHOWN = 1000  # characters of each message; enough to tell what it is about

_log = structlog.get_logger(__name__)


def first_words(text: str) -> str:
    """Return the beginning of a message as a title: one line, cut at a word."""
    words = " ".join(text.split())
    if len(words) <= LONGEST:
        return words
    cut = words[:LONGEST]
    return (cut.rsplit(maxsplit=1)[0] if " " in cut else cut).rstrip(",;:.-") + "…"


class Titles:
    """Names sessions after their first exchange."""

    def __init__(self, database: Database, model: Callable[[], Model | None]) -> None:
        """Ask ``model`` for titles; as long as there is none the first words stay."""
        self._database = database
        self._model = model

    async def after_turn(self, run: Run, outcome: Outcome) -> None:
        """Give the session a title if this was its first answer. Never fails: a title is not worth it."""
        model = self._model()
        if model is None or outcome.status is not Status.COMPLETED:
            return
        if outcome.finish_reason is FinishReason.FILTERED:
            return  # what moderation stopped goes to no other model
        if outcome.prompt is not None and len(outcome.prompt.turns) > 1:
            return  # not the first one, without asking the database
        try:
            await self._name(model, run, outcome.content)
        except ParlourError as error:
            _log.info("title_not_written", code=error.code, cause=error.cause)
        except Exception as error:  # noqa: BLE001 - the answer stands, whatever becomes of its title
            _log.warning("title_not_written", exc_info=error)

    async def _name(self, model: Model, run: Run, answer: str) -> None:
        said = await self._database.read(
            WORKER, lambda connection: sessions.history(connection, run.session_id, run.message_id, 3)
        )
        if len(said) != 2 or said[0].role != MessageRole.USER.value:
            return
        title = await self._written(model, said[0].content, answer)
        if title:
            await self._database.write(
                WORKER, lambda connection: sessions.suggest_title(connection, run.session_id, title)
            )

    @staticmethod
    async def _written(model: Model, question: str, answer: str) -> str:
        asked = f"{question[:_SHOWN]}\n\n---\n\n{answer[:_SHOWN]}"
        prompt = Prompt(system=_INSTRUCTION, turns=(Turn("user", asked),), max_tokens=30)
        parts: list[str] = []
        async with aclosing(model.stream(prompt)) as events:
            async for event in events:
                if isinstance(event, Text):
                    parts.append(event.content)
        return first_words("".join(parts).strip().strip("\"'“”«»").rstrip("."))
