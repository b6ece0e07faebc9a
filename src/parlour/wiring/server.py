"""The living server: its parts, and the order in which they begin and end."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from parlour.features.assistants.books import Books
from parlour.features.assistants.completions import Completions
from parlour.features.assistants.embeddings import Embedding
from parlour.features.assistants.service import Assistants
from parlour.features.assistants.values import Assistant, Suggestion
from parlour.features.chat.answer import Answerer
from parlour.features.chat.log.journal import Journal
from parlour.features.chat.log.reading import Log
from parlour.features.chat.reaper import Reaper
from parlour.features.chat.replies import Replies
from parlour.features.chat.service import Conversations
from parlour.features.chat.titles import Titles
from parlour.features.chat.turn import Turns
from parlour.features.chat.values import Lease
from parlour.features.context.window import Budget
from parlour.features.knowledge.bundled import bundled_folder
from parlour.features.knowledge.service import Knowledge
from parlour.features.people.keys import signing_secret
from parlour.features.people.service import People
from parlour.features.people.store import remember
from parlour.features.people.tokens import Tokens
from parlour.infra.observability.health import Health, HealthCheck, HealthState
from parlour.infra.observability.loop_watch import LoopWatch
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.migrating import SchemaTooNew
from parlour.infra.storage.opening import ServerLock, embedded_file, open_database
from parlour.infra.storage.space import SpaceCheck
from parlour.infra.supervision import supervise
from parlour.llm.orchestra.breaker import State
from parlour.llm.orchestra.breakers import Breakers
from parlour.settings import Settings
from parlour.vocabulary.errors import Unavailable
from parlour.vocabulary.ids import new_id
from parlour.wiring.limits import build_limits
from parlour.wiring.models import ModelShelf
from parlour.wiring.moderation import WatchedModerator, build_moderation, build_moderator

START_PATIENCE_SECONDS = 2.0  # between two looks at a database that is not there yet

SYSTEM_PROMPT = (
    "You are {name}, a helpful assistant on a website. Answer in the language of the question, in plain and "
    "friendly words, as briefly as the matter allows. Use Markdown where it helps reading. If you do not "
    "know something, say so instead of guessing."
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Check:
    """A health check made of a function."""

    name: str
    check: Callable[[], Coroutine[None, None, Health]]


class Parlour:
    """The server's living parts, and the order in which they begin and end."""

    def __init__(self, settings: Settings, announce: Callable[[str], None]) -> None:
        """Put everything together; ``announce`` tells the operator the owner's sign-in link.

        Raises a ParlourError when another server has the embedded database, or secrets lie open.
        """
        self._settings = settings
        self._announce = announce
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = embedded_file(settings.storage_url)
        self._lock = ServerLock(file) if file is not None else None
        self._embedded = file is not None
        self.database = open_database(settings.storage_url)
        self.metrics = Metrics()
        self.draining = False
        self._begun = False
        self._closing = AsyncExitStack()
        self._background: list[asyncio.Task[None]] = []
        self._watch = LoopWatch(self.metrics)
        self.knowledge = Knowledge(_folders(settings))
        self.moderation = build_moderation(settings, self.database, self.metrics)
        self._judge: WatchedModerator | None = None
        self._limit_parts = build_limits(settings, self.database, self.metrics, alone=self._embedded)
        self.limits = self._limit_parts.limits
        self.people = People(
            self.database,
            _tokens(settings),
            admit_stranger=self.limits.admit_stranger,
            plans=settings.plans,
        )
        self._breakers = Breakers(shared=self._limit_parts.breakers)
        self.shelf = ModelShelf(
            settings, self.metrics, allowed=self.limits.allowed_models, breakers=self._breakers
        )
        self.metrics.watch_breakers(self._breaker_states)
        self.assistants = Assistants([_assistant(settings)], self.shelf.models)
        self.books = Books()
        self.completions = Completions(
            models=self.shelf.models, limits=self.limits, moderation=self.moderation, books=self.books
        )
        self.embedding = Embedding(
            embedders=lambda: self.shelf.embedders,
            limits=self.limits,
            prices=self.shelf.prices,
            books=self.books,
            mask=self.moderation.masked_texts,
            named=self.shelf.named,
            heard=self.shelf.heard,
        )
        self._build_chat(settings)

    def _build_chat(self, settings: Settings) -> None:
        lease = Lease(owner=new_id())
        log = Log(self.database)
        self._log_of_runs = log
        self.journal = Journal(self.database, log, lease, self.metrics)
        self.titles = Titles(self.database, self.shelf.models, self.limits, moderation=self.moderation)
        self.turns = Turns(
            database=self.database,
            log=log,
            lease=lease,
            answerer=Answerer(
                database=self.database,
                assistants=self.assistants,
                knowledge=self.knowledge,
                moderation=self.moderation,
                limits=self.limits,
                budget=Budget(messages=settings.chat.history_limit),
                metrics=self.metrics,
            ),
            limits=self.limits,
            metrics=self.metrics,
            remember=remember,
            after_turn=self.titles.after_turn,
        )
        self.reaper = Reaper(
            database=self.database,
            turns=self.turns,
            lease=lease,
            metrics=self.metrics,
            alone=self._embedded,
            event_retention=timedelta(seconds=settings.chat.event_retention),
        )
        self.conversations = Conversations(
            database=self.database,
            assistants=self.assistants,
            remember=remember,
            release=self.limits.budgets.release,
        )
        self.replies = Replies(
            database=self.database,
            log=log,
            turns=self.turns,
            assistants=self.assistants,
            message_limit=settings.chat.message_limit,
            history_limit=settings.chat.history_limit,
            release=self.limits.budgets.release,
        )

    def checks(self) -> Sequence[HealthCheck]:
        """Return what ``/health`` looks at."""
        asks_judge = bool(self._settings.moderation.provider_stages)
        return [
            _Check("database", self._database_health),
            SpaceCheck(self._settings.data_dir),
            _Check("models", self._models_health),
            _Check("knowledge", self._knowledge_health),
            *([_Check("moderation", self._moderation_health)] if asks_judge else []),
            *self._limit_parts.checks,
            self._watch,
        ]

    def rests_on(self) -> str:
        """Say in a sentence where answers come from; nothing when there are no documents."""
        count = self.knowledge.document_count
        if count == 0:
            return ""
        return "Answers come from one document." if count == 1 else f"Answers come from {count} documents."

    async def start(self) -> None:
        """Begin to work; a database that is not there yet is waited for while requests are refused."""
        await self._closing.enter_async_context(self._watch)
        session = await self.shelf.open(self._closing)
        self._judge = self.moderation.moderator = build_moderator(self._settings, session, self.metrics)
        await self.knowledge.refresh()
        if self._embedded:
            await self.database.migrate()
        if await self._reachable():
            await self._begin()
        else:
            self._background.append(asyncio.create_task(supervise("start", self._begin_when_reachable)))

    def begin_drain(self) -> None:
        """Accept nothing more, and send readers to come back later or elsewhere."""
        self.draining = True
        self.replies.drain()
        self.completions.drain()
        self.turns.drain()
        self._log_of_runs.drain()

    async def stop(self) -> None:
        """End in order: answers in progress may finish, what is left is handed over, nothing is lost."""
        self.begin_drain()
        await self.turns.finish_all(self._settings.server.drain_seconds)
        await self.books.finish_all()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        with suppress(Unavailable):  # without a database the leases run out by themselves
            await self.journal.flush()
            await self.reaper.release()
        with suppress(Unavailable):
            await self._limit_parts.close()
        await self._closing.aclose()
        await self.people.api_keys.close()
        await self.database.close()
        if self._lock is not None:
            self._lock.release()

    async def _reachable(self) -> bool:
        """Tell whether the database answers. Raises SchemaTooNew when it is not for us."""
        try:
            await self.database.check()
        except SchemaTooNew:
            raise
        except Unavailable as error:
            _log.warning("database_not_ready", reason=str(error), cause=error.cause)
            return False
        return True

    async def _begin_when_reachable(self) -> None:
        while not await self._reachable():  # noqa: ASYNC110 - nothing tells when a database comes back
            await asyncio.sleep(START_PATIENCE_SECONDS)
        await self._begin()
        await asyncio.Event().wait()  # begun once; what there is to do now, others do

    async def _begin(self) -> None:
        token = await self.people.owner_link_token()
        works = {
            "journal": self.journal.keep,
            "leases": self.reaper.hold,
            "reaper": self.reaper.reap,
            "sweep": self.reaper.sweep,
            "models": self.shelf.keep_looking,
            **self._limit_parts.works,
        }
        if self._limit_parts.breakers is not None:
            works["breakers"] = self._breakers.keep_sharing
        for name, work in works.items():
            self._background.append(asyncio.create_task(supervise(name, work), name=name))
        self.replies.open()
        self._begun = True
        if token is not None:
            self._announce(f"{self._settings.server.address}/#sign-in={token}")

    def _breaker_states(self) -> list[tuple[str, str, str]]:
        return [(each.provider, each.model, each.state.value) for each in self.shelf.models.states()]

    async def _database_health(self) -> Health:
        try:
            await self.database.check()
        except Unavailable as error:
            return Health(HealthState.UNHEALTHY, f"{error} {error.cause or ''}".strip())
        if not self._begun:
            # It came after us, and we look at it only now and then: no request before we have.
            return Health(HealthState.UNHEALTHY, "Answers. Parlour is about to begin to serve.")
        return Health(HealthState.HEALTHY, "Answers, with the schema of this version.")

    async def _models_health(self) -> Health:
        states = self.shelf.models.states()
        chosen = self._settings.models.default_provider
        if chosen is not None and self.shelf.models.find(self.shelf.named(chosen)) is None:
            return Health(HealthState.DEGRADED, f"The provider {chosen} is chosen but not there.")
        if silent := self.shelf.silent:
            told = "; ".join(f"{provider}: {cause}" for provider, cause in silent.items())
            return Health(HealthState.DEGRADED, f"Set up, and telling of no model: {told}.")
        resting = [each for each in states if each.state is not State.CLOSED]
        if resting:
            told = "; ".join(f"{each.provider}/{each.model}: {each.state.value}" for each in resting)
            return Health(HealthState.DEGRADED, f"Not asked at the moment: {told}.")
        names = ", ".join(f"{each.provider}/{each.model}" for each in states)
        return Health(HealthState.HEALTHY, f"Available: {names}.")

    async def _moderation_health(self) -> Health:
        if self._judge is None:
            return Health(HealthState.HEALTHY, "Not asked yet.")
        return await self._judge.health()

    async def _knowledge_health(self) -> Health:
        unreadable = self.knowledge.unreadable
        if unreadable:
            return Health(HealthState.DEGRADED, f"{len(unreadable)} files cannot be read.")
        return Health(HealthState.HEALTHY, f"{self.knowledge.document_count} documents.")


def _folders(settings: Settings) -> list[Path]:
    if not settings.knowledge.enabled:
        return []
    own = settings.knowledge.folder
    return [bundled_folder(), *([own] if own is not None else [])]


def _tokens(settings: Settings) -> Tokens:
    foreign = settings.identity.jwt_secret
    return Tokens(
        secret=signing_secret(settings.data_dir),
        foreign_secret=foreign.get_secret_value().encode() if foreign else None,
    )


def _assistant(settings: Settings) -> Assistant:
    name = settings.assistant.name
    return Assistant(
        id="default",
        name=name,
        description="Answers from the knowledge it was given, and shows its sources.",
        greeting="What would you like to know?",
        system_prompt=settings.assistant.system_prompt or SYSTEM_PROMPT.format(name=name),
        suggestions=(
            Suggestion("Connect a model", "How do I connect OpenAI?"),
            Suggestion("Add your documents", "How do I let it answer from my own files?"),
            Suggestion("Put it on a server", "What should I set up before running it in production?"),
            Suggestion("Build with it", "How do I send a message with the HTTP API?"),
        ),
    )
