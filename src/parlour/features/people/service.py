"""Who may come in: visitors at once, the owner by a one-time link, others by a token that names them."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from parlour.features.people import store
from parlour.features.people.api_keys import ApiKeys, MadeKey, NewKey, is_key
from parlour.features.people.tokens import Token, Tokens
from parlour.infra.storage.database import WORKER, Database
from parlour.vocabulary.errors import FieldError, InvalidInput, Unauthenticated
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role

LINK_LIFETIME: Final = timedelta(hours=24)
LINK_BYTES: Final = 32
LONGEST_EMAIL: Final = 254  # RFC 5321


@dataclass(frozen=True, slots=True)
class Entrance:
    """A person who has just come in, and the token for the way on."""

    principal: Principal
    token: Token


class People:
    """The rules about people."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        *,
        admit_stranger: Callable[[str], Awaitable[object]] | None = None,
        plans: Collection[str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Keep people in ``database``; ``tokens`` signs and reads their tokens.

        ``admit_stranger`` is asked before somebody from an address gets an identity, and may raise TooMany;
        ``plans`` are those that an API key can be given.
        """
        self._admit_stranger = admit_stranger
        self._database = database
        self._tokens = tokens
        self._now = now
        self.api_keys = ApiKeys(database, plans=plans, now=now)

    async def welcome_visitor(self, address: str) -> Entrance:
        """Let a stranger in, if not too many came from there. Nothing is stored until they say something."""
        if self._admit_stranger is not None:
            await self._admit_stranger(address)
        visitor = Principal(new_id(), Role.VISITOR)
        return Entrance(visitor, self._tokens.issue(visitor))

    async def identify(self, token: str) -> Principal:
        """Return who a bearer token or an API key speaks for. Raises Unauthenticated when it does not hold.

        A token costs no look into the database.
        """
        return await self.api_keys.identify(token) if is_key(token) else self._tokens.read(token)

    async def owner_link_token(self) -> str | None:
        """Make a new one-time token for the owner's first sign-in; None once an owner has signed in.

        It holds for 24 hours, replaces the one before it, and only its hash is stored.
        """
        token = secrets.token_urlsafe(LINK_BYTES)
        made = await self._database.write(
            WORKER,
            lambda connection: store.renew_owner_link(
                connection, token_hash=_hash(token), now=self._now(), lifetime=LINK_LIFETIME
            ),
        )
        return token if made else None

    async def sign_in(self, link_token: str) -> Entrance:
        """Use up a sign-in link. Raises Unauthenticated when it was used, replaced, or is too old."""
        person = await self._database.write(
            WORKER,
            lambda connection: store.use_link(connection, token_hash=_hash(link_token), now=self._now()),
        )
        if person is None:
            raise Unauthenticated(
                "This sign-in link has been used or is too old. Restarting Parlour prints a new one."
            )
        principal = Principal(person.id, person.role)
        return Entrance(principal, self._tokens.issue(principal))

    async def key_for_script(self, email: str | None, role: Role | None, wanted: NewKey) -> MadeKey:
        """Make an API key for the person with this address; see :meth:`ApiKeys.make_for`."""
        address = _address(email) if email is not None else None
        return await self.api_keys.make_for(address, role, wanted)

    async def display_name(self, principal: Principal) -> str | None:
        """Return the name a person is shown by, if they have one."""
        person = await self._database.read(
            principal, lambda connection: store.find(connection, principal.person_id)
        )
        return person.display_name if person else None

    async def token_for_script(self, role: Role, email: str | None) -> Entrance:
        """Find the person with this address, or make one, give them this role, and return a token."""
        address = _address(email) if email is not None else None
        person_id = await self._database.write(
            WORKER,
            lambda connection: store.give_role(connection, role=role, email=address, now=self._now()),
        )
        principal = Principal(person_id, role)
        return Entrance(principal, self._tokens.issue(principal))


def _hash(token: str) -> str:
    # The token has 256 random bits: a plain hash is enough, nobody can guess their way back.
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()


def _address(email: str) -> str:
    address = email.strip().lower()
    name, at, host = address.rpartition("@")
    if not (name and at and host) or len(address) > LONGEST_EMAIL or not address.isprintable():
        raise InvalidInput(FieldError("email", f"{email!r} is not an e-mail address."))
    return address
