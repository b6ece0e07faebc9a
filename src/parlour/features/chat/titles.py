"""Titles of sessions: the first words at once, a better one by a model after the first exchange."""

from contextlib import aclosing

import structlog

from parlour.features.assistants.models import Models
from parlour.features.chat.store import sessions
from parlour.features.chat.values import Outcome, Run
from parlour.features.limits.service import Limits
from parlour.features.moderation.service import Moderation
from parlour.infra.storage.database import WORKER, Database, patiently
from parlour.llm.model import Model, Prompt, Text, Turn
from parlour.llm.orchestra.routing import Choice
from parlour.llm.tokens import at_most_tokens
from parlour.vocabulary.errors import ParlourError
from parlour.vocabulary.messages import FinishReason, MessageRole, Status
from parlour.vocabulary.principal import Principal

LONGEST = 60

_INSTRUCTION = (
    "Write a title of two to six words for this conversation, in its own language. "
    "Answer with the title alone: no quotation marks, no full stop."
)
_SHOWN = 1000  # characters of each message; enough to tell what it is about
_TOKENS = 300  # a few for the title; some models cannot help thinking first

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

    def __init__(self, database: Database, models: Models, limits: Limits, *, moderation: Moderation) -> None:
        """Ask the small ones of ``models``, within ``limits``; without them the first words stay.

        ``moderation`` holds for a title as for an answer.
        """
        self._database = database
        self._models = models
        self._limits = limits
        self._moderation = moderation

    async def after_turn(self, run: Run, outcome: Outcome, asker: Principal | None) -> None:
        """Give the session a title if this was its first answer. Never fails: a title is not worth it.

        Without an ``asker``, as after a restart, nobody knows whose budget it would go on: none is written.
        """
        if asker is None:
            return
        choice = self._models.small_work(asker)
        if choice is None or outcome.status is not Status.COMPLETED:
            return
        if outcome.finish_reason is FinishReason.FILTERED:
            return  # what moderation stopped goes to no other model
        if outcome.prompt is not None and len(outcome.prompt.turns) > 1:
            return  # not the first one, without asking the database
        try:
            await self._name(choice, run, outcome.content, asker)
        except ParlourError as error:
            _log.info("title_not_written", code=error.code, cause=error.cause)
        except Exception as error:  # noqa: BLE001 - the answer stands, whatever becomes of its title
            _log.warning("title_not_written", exc_info=error)

    async def _name(self, choice: Choice, run: Run, answer: str, asker: Principal) -> None:
        said = await self._database.read(
            WORKER, lambda connection: sessions.history(connection, run.session_id, run.message_id, 3)
        )
        if len(said) != 2 or said[0].role != MessageRole.USER.value:
            return
        title = await self._written(choice, run, said[0].content, answer, asker)
        if title:
            await self._database.write(
                WORKER, lambda connection: sessions.suggest_title(connection, run.session_id, title)
            )

    async def _written(self, choice: Choice, run: Run, question: str, answer: str, asker: Principal) -> str:
        """Let a small model write; like every call it is within the budgets and in the ledger."""
        question = self._moderation.recalled(question)
        asked = f"{question[:_SHOWN]}\n\n---\n\n{answer[:_SHOWN]}"
        prompt = Prompt(system=_INSTRUCTION, turns=(Turn("user", asked),), max_tokens=_TOKENS)
        worst = self._models.worst_case_usd(
            choice, prompt_tokens=at_most_tokens(prompt, choice.models), reply_tokens=_TOKENS
        )
        reserved = await self._limits.begin_completion(
            asker, assistant_id=run.assistant_id, worst_usd=worst, session_id=run.session_id, run_id=run.id
        )
        answering = self._models.answering(choice)
        try:
            title = _title_of(await _said(self._moderation.masked(answering), prompt))
        finally:
            await patiently(lambda: self._limits.end_completion(asker, reserved, answering.ledger))
        return title if await self._may_stand(title, question) else ""

    async def _may_stand(self, title: str, question: str) -> bool:
        """Tell whether nobody objects to a title: there is nothing to mend in so few words."""
        guard = self._moderation.guard_output(heard=[question])
        if guard is None:
            return True
        with guard:
            guard.feed(title)
            await guard.end()
        return not guard.findings


async def _said(model: Model, prompt: Prompt) -> str:
    parts: list[str] = []
    async with aclosing(model.stream(prompt)) as events:
        async for event in events:
            if isinstance(event, Text):
                parts.append(event.content)
    return "".join(parts)


def _title_of(text: str) -> str:
    return first_words(text.strip().strip("\"'“”«»").rstrip("."))
