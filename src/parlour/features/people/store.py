"""The only SQL about people. Each function is one step of a unit of work."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from parlour.features.people.tables import people, sign_in_links
from parlour.vocabulary.principal import Role

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


def find_by_email(connection: Connection, email: str) -> Person | None:
    """Return the person with this address, as :func:`add` keeps it."""
    return _one(connection, people.c.email == email)


def owner_has_signed_in(connection: Connection) -> bool:
    """Tell whether somebody has taken possession of this server."""
    seen = select(people.c.id).where(people.c.role == Role.OWNER.value, people.c.last_seen_at.is_not(None))
    return connection.execute(seen.limit(1)).first() is not None


def add(
    connection: Connection, *, person_id: str, role: Role, now: datetime, email: str | None = None
) -> None:
    """Add a person unless the id or the address is there already."""
    try:
        with connection.begin_nested():
            connection.execute(
                insert(people).values(id=person_id, role=role.value, email=email, created_at=now)
            )
    except IntegrityError:
        return


def change_role(connection: Connection, person_id: str, role: Role) -> None:
    """Give a person another role."""
    connection.execute(update(people).where(people.c.id == person_id).values(role=role.value))


def replace_link(connection: Connection, *, person_id: str, token_hash: str, expires_at: datetime) -> None:
    """Make this the person's only sign-in link."""
    connection.execute(delete(sign_in_links).where(sign_in_links.c.person_id == person_id))
    connection.execute(
        insert(sign_in_links).values(token_hash=token_hash, person_id=person_id, expires_at=expires_at)
    )


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


def _one(connection: Connection, condition: object) -> Person | None:
    columns = (people.c.id, people.c.role, people.c.display_name, people.c.email, people.c.last_seen_at)
    row = connection.execute(select(*columns).where(condition)).first()  # type: ignore[arg-type]
    return Person(row.id, Role(row.role), row.display_name, row.email, row.last_seen_at) if row else None
