"""What people do with their conversations; each act names the person, and touches nobody else's rows."""

from datetime import UTC, datetime
from typing import Any

from parlour.features.assistants.service import Assistants
from parlour.features.chat.store import sessions, threads
from parlour.features.chat.store.accepting import RememberPerson
from parlour.features.chat.store.sessions import Release
from parlour.features.chat.values import Row, SessionQuery
from parlour.infra.storage.database import Database
from parlour.vocabulary.errors import NotFound
from parlour.vocabulary.ids import is_id
from parlour.vocabulary.principal import Principal


class Conversations:
    """Sessions of people, with their messages and what was thought of them."""

    def __init__(
        self, *, database: Database, assistants: Assistants, remember: RememberPerson, release: Release
    ) -> None:
        """Keep everything in ``database``; ``remember`` notes a person who writes for the first time.

        ``release`` gives back what was reserved for answers that will not begin.
        """
        self._release = release
        self._database = database
        self._assistants = assistants
        self._remember = remember

    async def create_session(self, principal: Principal, values: Row, *, assistant_id: str | None) -> Row:
        """Keep a new, empty session."""
        assistant = self._assistants.find(assistant_id)
        self._assistants.check_model(principal, values.get("model"))
        now = datetime.now(UTC)
        return await self._database.write(
            principal,
            lambda connection: sessions.create_session(
                connection, principal, values, assistant_id=assistant.id, now=now, remember=self._remember
            ),
        )

    async def session_of_thread(self, principal: Principal, assistant_id: str, name: str) -> str:
        """Return the session that goes on with what somebody outside calls ``name``, made if need be."""
        now = datetime.now(UTC)
        return await self._database.write(
            principal,
            lambda connection: threads.session_of(
                connection, principal, assistant_id, name, now=now, remember=self._remember
            ),
        )

    async def session(self, principal: Principal, session_id: str) -> Row:
        """Return one's own session. Raises NotFound."""
        form_of_id(session_id)
        return await self._database.read(
            principal, lambda connection: sessions.read_session(connection, principal, session_id)
        )

    async def sessions(self, query: SessionQuery) -> tuple[list[Row], str | None]:
        """Return a page of one's sessions and the next page's cursor."""
        return await self._database.read(
            query.principal, lambda connection: sessions.list_sessions(connection, query)
        )

    async def change_session(
        self, principal: Principal, session_id: str, values: Row, *, archived: bool | None = None
    ) -> Row:
        """Change one's own session, and put it into the archive or take it out. Raises NotFound."""
        form_of_id(session_id)
        now = datetime.now(UTC)
        if archived is not None:
            values = values | {"archived_at": now if archived else None}
        return await self._database.write(
            principal,
            lambda connection: sessions.change_session(connection, principal, session_id, values, now=now),
        )

    async def delete_session(self, principal: Principal, session_id: str) -> None:
        """Delete one's own session; it can be restored. Raises NotFound."""
        form_of_id(session_id)
        now = datetime.now(UTC)
        await self._database.write(
            principal,
            lambda connection: sessions.delete_session(
                connection, principal, session_id, now=now, release=self._release
            ),
        )

    async def delete_sessions(self, principal: Principal) -> int:
        """Delete all of one's sessions; return how many."""
        now = datetime.now(UTC)
        return await self._database.write(
            principal,
            lambda connection: sessions.delete_sessions(
                connection, principal, now=now, release=self._release
            ),
        )

    async def restore_session(self, principal: Principal, session_id: str) -> Row:
        """Bring a deleted session of one's own back. Raises NotFound."""
        form_of_id(session_id)
        now = datetime.now(UTC)
        return await self._database.write(
            principal,
            lambda connection: sessions.change_session(
                connection, principal, session_id, {"deleted_at": None}, now=now, deleted=True
            ),
        )

    async def messages(
        self, principal: Principal, session_id: str, *, before: str | None, limit: int
    ) -> tuple[list[Row], str | None]:
        """Return a page of the branch in view, newest page first. Raises NotFound."""
        form_of_id(session_id)
        if before is not None:
            form_of_id(before)

        def page(connection: Any) -> tuple[list[Row], str | None]:  # noqa: ANN401
            session = sessions.read_session(connection, principal, session_id)
            return sessions.branch(connection, session, before=before, limit=limit)

        return await self._database.read(principal, page)

    async def feedback(self, principal: Principal, message_id: str, values: Row) -> Row:
        """Keep one's feedback on a reply. Raises NotFound."""
        form_of_id(message_id)
        now = datetime.now(UTC)
        return await self._database.write(
            principal,
            lambda connection: sessions.set_feedback(connection, principal, message_id, values, now=now),
        )


def form_of_id(text: str) -> str:
    """Return an id as it is. Raises NotFound for what cannot be one, as for one that names nothing."""
    if not is_id(text):
        raise NotFound
    return text
