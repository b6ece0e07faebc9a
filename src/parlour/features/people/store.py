"""The only SQL about people. Each function is one step of a unit of work."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from parlour.features.people.tables import api_keys, people, sign_in_links
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role

# The first owner is one row whoever makes it: replicas that start together agree on it without talking.
FIRST_OWNER: Final = "00000000-0000-7000-8000-000000000001"


class Person(NamedTuple):
    """A person as stored."""

    id: str
    role: Role
    display_name: str | None
    email: str | None
    last_seen_at: datetime | None


class ApiKey(NamedTuple):
    """An API key as stored, with the role that its person has now."""

    id: str
    person_id: str
    name: str
    prefix: str
    scopes: frozenset[str]
    role: Role
    plan: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    person_role: Role
    email: str | None

    def holds(self, now: datetime) -> bool:
        """Tell whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


def find(connection: Connection, person_id: str) -> Person | None:
    """Return the person with this id, if a row was ever needed for them."""
    return _one(connection, people.c.id == person_id)


def remember(connection: Connection, principal: Principal, now: datetime) -> None:
    """Give a person a row before something of theirs is stored: a step for other rooms' units of work."""
    if find(connection, principal.person_id) is None:
        _add(connection, person_id=principal.person_id, role=principal.role, now=now)


def give_role(connection: Connection, *, role: Role, email: str | None, now: datetime) -> str:
    """Give the person with this address the role, making them first if need be; return their id."""
    person = _one(connection, people.c.email == email) if email is not None else None
    if person is None:
        person_id = new_id()
        _add(connection, person_id=person_id, role=role, now=now, email=email)
        return person_id
    if person.role is not role:
        connection.execute(update(people).where(people.c.id == person.id).values(role=role.value))
    return person.id


def renew_owner_link(connection: Connection, *, token_hash: str, now: datetime, lifetime: timedelta) -> bool:
    """Make this the only link by which the owner comes in; False when an owner has signed in already."""
    signed_in = select(people.c.id).where(
        people.c.role == Role.OWNER.value, people.c.last_seen_at.is_not(None)
    )
    if connection.execute(signed_in.limit(1)).first() is not None:
        return False
    remember(connection, Principal(FIRST_OWNER, Role.OWNER), now)
    connection.execute(delete(sign_in_links).where(sign_in_links.c.person_id == FIRST_OWNER))
    connection.execute(
        insert(sign_in_links).values(token_hash=token_hash, person_id=FIRST_OWNER, expires_at=now + lifetime)
    )
    return True


def use_link(connection: Connection, *, token_hash: str, now: datetime) -> Person | None:
    """Use up a link that still holds and return its person; of several at once exactly one succeeds."""
    used = connection.execute(
        update(sign_in_links)
        .where(
            sign_in_links.c.token_hash == token_hash,
            sign_in_links.c.used_at.is_(None),
            sign_in_links.c.expires_at > now,
        )
        .values(used_at=now)
    )
    if used.rowcount != 1:
        return None
    person_id = connection.execute(
        select(sign_in_links.c.person_id).where(sign_in_links.c.token_hash == token_hash)
    ).scalar_one()
    connection.execute(update(people).where(people.c.id == person_id).values(last_seen_at=now))
    return find(connection, person_id)


def person_by_address(
    connection: Connection, *, email: str | None, role: Role | None, now: datetime
) -> tuple[str, Role]:
    """Return the person with this address and their role, making them first if need be.

    With ``role`` they get it; without, somebody new is a user and everybody else stays what they are.
    """
    if role is None and email is not None and (person := _one(connection, people.c.email == email)):
        return person.id, person.role
    wanted = role or Role.USER
    return give_role(connection, role=wanted, email=email, now=now), wanted


def add_key(connection: Connection, values: dict[str, Any]) -> None:
    """Keep an API key; its person is known."""
    connection.execute(insert(api_keys).values(**values))


def key_by_hash(connection: Connection, key_hash: str) -> ApiKey | None:
    """Return the API key with this hash, unless it was revoked."""
    return next(iter(_keys(connection, api_keys.c.key_hash == key_hash)), None)


def keys_of(connection: Connection, person_id: str | None, *, limit: int) -> list[ApiKey]:
    """Return the API keys of a person, or of everybody, that were not revoked, newest first."""
    owned = [] if person_id is None else [api_keys.c.person_id == person_id]
    return _keys(connection, *owned, limit=limit)


def note_use(connection: Connection, key_id: str, *, now: datetime, at_most_every: timedelta) -> None:
    """Write down that a key was used, unless that was done a moment ago."""
    connection.execute(
        update(api_keys)
        .where(
            api_keys.c.id == key_id,
            or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= now - at_most_every),
        )
        .values(last_used_at=now)
    )


def revoke_key(connection: Connection, key_id: str, person_id: str | None, *, now: datetime) -> str | None:
    """End a key for good, a person's own or (None) anybody's; return its hash, None when there is none."""
    owned = [] if person_id is None else [api_keys.c.person_id == person_id]
    revoked = connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None), *owned)
        .values(revoked_at=now)
        .returning(api_keys.c.key_hash)
    )
    key_hash: str | None = revoked.scalar_one_or_none()
    return key_hash


def _keys(connection: Connection, *where: Any, limit: int = 1) -> list[ApiKey]:  # noqa: ANN401 - conditions
    columns = [api_keys.c[name] for name in ApiKey._fields if name in api_keys.c]
    rows = connection.execute(
        select(*columns, people.c.role.label("person_role"), people.c.email)
        .join(people, people.c.id == api_keys.c.person_id)
        .where(api_keys.c.revoked_at.is_(None), *where)
        .order_by(api_keys.c.id.desc())
        .limit(limit)
    )
    return [
        ApiKey(
            **row._asdict()
            | {
                "scopes": frozenset(row.scopes),
                "role": Role(row.role),
                "person_role": Role(row.person_role),
            }
        )
        for row in rows
    ]


def _add(
    connection: Connection, *, person_id: str, role: Role, now: datetime, email: str | None = None
) -> None:
    try:
        with connection.begin_nested():
            connection.execute(
                insert(people).values(id=person_id, role=role.value, email=email, created_at=now)
            )
    except IntegrityError:
        # Another unit of work was quicker with the same id, which is as good; with an address it is not.
        if email is not None:
            raise


def _one(connection: Connection, condition: object) -> Person | None:
    columns = (people.c.id, people.c.role, people.c.display_name, people.c.email, people.c.last_seen_at)
    row = connection.execute(select(*columns).where(condition)).first()  # type: ignore[arg-type]
    return Person(row.id, Role(row.role), row.display_name, row.email, row.last_seen_at) if row else None
