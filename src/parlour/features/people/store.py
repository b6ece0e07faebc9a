"""The only SQL about people. Each function is one step of a unit of work."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from parlour.features.people.tables import people, sign_in_links
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
