"""API keys: made once, shown once, kept as a hash; each may do a part of what its person may (S-1).

A key is ``parlour_`` with 43 random letters and digits (256 bits) and six more that check them, so that
scanners for leaked secrets find it by its form, and what only looks like one never reaches the database.
"""

import asyncio
import hashlib
import secrets
import time
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from parlour.features.people import store
from parlour.features.people.store import ApiKey
from parlour.infra.storage.database import WORKER, Actor, Database
from parlour.vocabulary.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from parlour.vocabulary.ids import is_id, new_id
from parlour.vocabulary.principal import Principal, Role, Scope

PREFIX: Final = "parlour_"
SHOWN: Final = len(PREFIX) + 6  # characters that lists show
MOST_KEYS: Final = 50  # of one person; a list of them is one page
LISTED_AT_MOST: Final = 1000  # on the command line, of everybody
REMEMBERED_SECONDS: Final = 3.0  # a key that is revoked elsewhere must be refused here within 5 s
REMEMBERED_KEYS: Final = 2048
NOTED_EVERY: Final = timedelta(minutes=1)
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LETTERS: Final = 43  # 62 ** 43 > 2 ** 256
_CHECK_LETTERS: Final = 6  # 62 ** 6 > 2 ** 32

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key shall be. ``plan`` None: that of its maker."""

    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was just made; ``text`` is kept nowhere and never shown again."""

    key: ApiKey
    text: str


@dataclass(frozen=True, slots=True)
class _Seen:
    key: ApiKey | None
    until: float


class ApiKeys:
    """The rules about API keys."""

    def __init__(
        self,
        database: Database,
        *,
        plans: Collection[str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep keys in ``database``; ``clock`` tells how long a key was remembered.

        ``plans`` are those that a key can be given; None where nobody knows them.
        """
        self._plans = plans
        self._database = database
        self._now = now
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def make(self, principal: Principal, wanted: NewKey) -> MadeKey:
        """Make a key for oneself. Raises Forbidden for more than one may oneself, Conflict for too many."""
        if principal.key_id is not None or not principal.role.includes(Role.USER):
            raise Forbidden
        operates = principal.role.includes(Role.OPERATOR)
        if Scope.ADMIN in wanted.scopes and not operates:
            raise Forbidden("Only an operator's key can have the scope admin.")
        if wanted.plan is not None and wanted.plan != principal.plan and not operates:
            raise Forbidden("Only operators choose the plan of a key.")
        self._check(wanted)
        text, values = self._values(wanted, principal.role, wanted.plan or principal.plan)
        values["person_id"] = principal.person_id

        def keep(connection: Any) -> ApiKey:  # noqa: ANN401 - a connection is the store's business
            store.remember(connection, principal, self._now())
            if len(store.keys_of(connection, principal.person_id, limit=MOST_KEYS)) >= MOST_KEYS:
                raise Conflict(f"You have {MOST_KEYS} keys. Revoke one that is no longer used.")
            return _kept(connection, values)

        made = await self._database.write(principal, keep)
        log.info("api_key_made", key_id=made.id, scopes=sorted(made.scopes))
        return MadeKey(made, text)

    async def make_for(self, email: str | None, role: Role | None, wanted: NewKey) -> MadeKey:
        """Make a key for the person with this address, on the server's own machine.

        Without an address the key gets a person of its own. ``role`` is given to the person, too.
        """
        self._check(wanted)

        def keep(connection: Any) -> MadeKey:  # noqa: ANN401
            now = self._now()
            person_id, held = store.person_by_address(connection, email=email, role=role, now=now)
            if held is Role.VISITOR:
                raise InvalidInput(FieldError("role", "Visitors have no keys. Give --role user or more."))
            if Scope.ADMIN in wanted.scopes and not held.includes(Role.OPERATOR):
                raise InvalidInput(FieldError("scopes", "The scope admin needs --role operator or owner."))
            text, values = self._values(wanted, held, wanted.plan)
            return MadeKey(_kept(connection, values | {"person_id": person_id}), text)

        return await self._database.write(WORKER, keep)

    async def listed(self, principal: Principal) -> list[ApiKey]:
        """Return one's own keys, newest first."""
        return await self._database.read(
            principal, lambda connection: store.keys_of(connection, principal.person_id, limit=MOST_KEYS)
        )

    async def all(self) -> list[ApiKey]:
        """Return everybody's keys, newest first, on the server's own machine."""
        return await self._database.read(
            WORKER, lambda connection: store.keys_of(connection, None, limit=LISTED_AT_MOST)
        )

    async def revoke(self, principal: Principal, key_id: str) -> None:
        """End a key of one's own: here at once, in every other process within 5 s. Raises NotFound."""
        await self._revoke(principal, key_id, principal.person_id)

    async def revoke_any(self, key_id: str) -> None:
        """End anybody's key, on the server's own machine. Raises NotFound."""
        await self._revoke(WORKER, key_id, None)

    async def identify(self, text: str) -> Principal:
        """Return who a key speaks for. Raises Unauthenticated without saying why it does not hold."""
        if not _well_formed(text):
            raise Unauthenticated
        key_hash = _hash(text)
        seen = self._seen.get(key_hash)
        if seen is None or seen.until <= self._clock():
            seen = await self._look(key_hash)
        now = self._now()
        if seen.key is None or not seen.key.holds(now):
            raise Unauthenticated
        return _principal(seen.key)

    async def close(self) -> None:
        """Finish writing down when keys were used."""
        await asyncio.gather(*self._notes)

    async def _revoke(self, actor: Actor, key_id: str, person_id: str | None) -> None:
        if not is_id(key_id):
            raise NotFound
        key_hash = await self._database.write(
            actor, lambda connection: store.revoke_key(connection, key_id, person_id, now=self._now())
        )
        if key_hash is None:
            raise NotFound
        self._seen[key_hash] = _Seen(None, self._clock() + REMEMBERED_SECONDS)
        log.info("api_key_revoked", key_id=key_id)

    async def _look(self, key_hash: str) -> _Seen:
        # Counted from before the look: what is revoked while we look is not believed any longer for it.
        until = self._clock() + REMEMBERED_SECONDS
        key = await self._database.read(WORKER, lambda connection: store.key_by_hash(connection, key_hash))
        known = self._seen.get(key_hash)
        if known is not None and known.key is None and known.until > self._clock():
            return known  # revoked here meanwhile
        if len(self._seen) >= REMEMBERED_KEYS:
            self._seen.clear()
        seen = self._seen[key_hash] = _Seen(key, until)
        if key is not None and (key.last_used_at is None or key.last_used_at <= self._now() - NOTED_EVERY):
            note = asyncio.create_task(self._note(key.id))
            self._notes.add(note)
            note.add_done_callback(self._notes.discard)
        return seen

    async def _note(self, key_id: str) -> None:
        now = self._now()
        try:
            await self._database.write(
                WORKER,
                lambda connection: store.note_use(connection, key_id, now=now, at_most_every=NOTED_EVERY),
            )
        except Unavailable as error:  # nobody waits for it, and the next use writes it
            log.warning("api_key_use_not_noted", key_id=key_id, cause=error.cause)

    def _check(self, wanted: NewKey) -> None:
        if not wanted.scopes:
            raise InvalidInput(FieldError("scopes", "Give at least one scope.", "missing"))
        if wanted.expires_at is not None and wanted.expires_at <= self._now():
            raise InvalidInput(FieldError("expiresAt", "This moment has passed."))
        if wanted.plan is not None and self._plans is not None and wanted.plan not in self._plans:
            raise InvalidInput(FieldError("plan", "There is no such plan in the settings."))

    def _values(self, wanted: NewKey, role: Role, plan: str | None) -> tuple[str, dict[str, object]]:
        text = _new_text()
        return text, {
            "id": new_id(),
            "name": wanted.name,
            "prefix": text[:SHOWN],
            "key_hash": _hash(text),
            "scopes": sorted(wanted.scopes),
            "role": role.value,
            "plan": plan,
            "created_at": self._now(),
            "expires_at": wanted.expires_at,
        }


def is_key(text: str) -> bool:
    """Tell whether a bearer token is meant to be an API key."""
    return text.startswith(PREFIX)


def _principal(key: ApiKey) -> Principal:
    # Neither more than its maker was nor more than the person is now; without `admin`, a user and no more.
    role = min(key.role, key.person_role, key=list(Role).index)
    if Scope.ADMIN not in key.scopes:
        role = min(role, Role.USER, key=list(Role).index)
    return Principal(key.person_id, role, key_id=key.id, scopes=key.scopes, plan=key.plan)


def _kept(connection: Any, values: dict[str, object]) -> ApiKey:  # noqa: ANN401
    store.add_key(connection, values)
    kept = store.key_by_hash(connection, str(values["key_hash"]))
    assert kept is not None  # noqa: S101 - written a moment ago, in this unit of work
    return kept


def _new_text() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LETTERS))
    return f"{PREFIX}{letters}{_check_letters(letters)}"


def _check_letters(letters: str) -> str:
    number = zlib.crc32(letters.encode())
    check: Sequence[str] = [_ALPHABET[number // 62**place % 62] for place in range(_CHECK_LETTERS)]
    return "".join(check)


def _well_formed(text: str) -> bool:
    letters = text[len(PREFIX) :]
    if len(letters) != _RANDOM_LETTERS + _CHECK_LETTERS or not (letters.isascii() and letters.isalnum()):
        return False
    return _check_letters(letters[:_RANDOM_LETTERS]) == letters[_RANDOM_LETTERS:]


def _hash(text: str) -> str:
    # 256 random bits: a plain hash is enough, nobody can guess their way back.
    return hashlib.sha256(text.encode()).hexdigest()
