"""The SQL of budgets: reserve before a call, settle after it, in the caller's unit of work.

A reservation raises its budgets by one conditional statement each, so that of any number at once only those
pass for which there is room. Budgets are always changed in the same order: nobody waits for each other.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from parlour.features.limits.tables import reservations, spendings
from parlour.features.limits.values import Place
from parlour.infra.storage.prepared import Prepared
from parlour.infra.storage.schema import Dollars

Transaction = Connection
"""What a unit of work runs on, as others hand it in."""

Standing = tuple[Decimal, Decimal]
"""What is spent, and what is reserved."""

SWEEP_AT_ONCE = 500
KEPT_DAYS = 62  # of budgets that have passed: the month before stays readable
KEPT_ADDRESS_DAYS = 1  # nobody's address is kept longer than its budget runs


def _raise(dialect: Dialect) -> Insert:
    make = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    statement: Any = make(spendings).values(
        scope=bindparam("scope"),
        subject=bindparam("subject"),
        period=bindparam("period"),
        person_id=bindparam("person"),
        reserved=bindparam("amount"),
        spent=Decimal(0),
    )
    new = statement.excluded
    raised: Insert = statement.on_conflict_do_update(
        index_elements=[spendings.c.scope, spendings.c.subject, spendings.c.period],
        set_={"reserved": spendings.c.reserved + new.reserved},
        where=spendings.c.spent + spendings.c.reserved + new.reserved <= bindparam("limit", type_=Dollars()),
    ).returning(spendings.c.scope)
    return raised


_RAISE = Prepared(_raise)
_KEEP = Prepared(
    insert(reservations).values(
        id=bindparam("id"),
        person_id=bindparam("person"),
        amount=bindparam("amount"),
        places=bindparam("places"),
        created_at=bindparam("now"),
        expires_at=bindparam("expires"),
    )
)
_TAKE_BACK = Prepared(
    delete(reservations)
    .where(reservations.c.id == bindparam("id"))
    .returning(reservations.c.amount, reservations.c.places)
)
_SETTLE = Prepared(
    update(spendings)
    .where(
        spendings.c.scope == bindparam("of_scope"),
        spendings.c.subject == bindparam("of_subject"),
        spendings.c.period == bindparam("of_period"),
    )
    .values(
        reserved=spendings.c.reserved - bindparam("amount", type_=Dollars()),
        spent=spendings.c.spent + bindparam("cost", type_=Dollars()),
    )
)


def reserve(
    connection: Connection,
    places: Sequence[Place],
    *,
    reservation_id: str,
    person_id: str,
    amount: Decimal,
    now: datetime,
    expires_at: datetime | None,
) -> Place | None:
    """Reserve ``amount`` in every place; return the first that has no room for it.

    Then the caller must roll back: places before that one were raised.
    """
    ordered = sorted(places, key=lambda place: place[:3])
    for place in ordered:
        values = {
            "scope": place.scope,
            "subject": place.subject,
            "period": place.period,
            "person": place.person_id,
            "amount": amount,
            "limit": place.limit,
        }
        if amount > place.limit or not _RAISE.run(connection, values):
            return place
    _KEEP.run(
        connection,
        {
            "id": reservation_id,
            "person": person_id,
            "amount": amount,
            "places": [list(place[:3]) for place in ordered],
            "now": now,
            "expires": expires_at,
        },
    )
    return None


def settle(connection: Connection, reservation_id: str, cost: Decimal | None) -> None:
    """Put what was spent in the place of what was reserved; None: all that was reserved.

    Without a reservation, or when it was settled before, nothing changes.
    """
    for kept in _TAKE_BACK.run(connection, {"id": reservation_id}):
        spent = kept.amount if cost is None else cost
        _SETTLE.run_many(
            connection,
            [
                {
                    "of_scope": scope,
                    "of_subject": subject,
                    "of_period": period,
                    "amount": kept.amount,
                    "cost": spent,
                }
                for scope, subject, period in kept.places
            ],
        )


def settle_expired(connection: Connection, now: datetime) -> int:
    """Settle as spent what nobody settled in time, a bounded part of it; return how many those were."""
    expired = (
        connection.execute(
            select(reservations.c.id)
            .where(reservations.c.expires_at < now)
            .order_by(reservations.c.expires_at)
            .limit(SWEEP_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        .scalars()
        .all()
    )
    for reservation_id in expired:
        settle(connection, reservation_id, None)
    return len(expired)


def forget(connection: Connection, now: datetime) -> None:
    """Delete budgets of long ago, and addresses as soon as theirs has passed."""
    long_ago = now - timedelta(days=KEPT_DAYS)
    connection.execute(delete(spendings).where(spendings.c.period < _day(long_ago)))
    yesterday = _day(now - timedelta(days=KEPT_ADDRESS_DAYS))
    connection.execute(
        delete(spendings).where(spendings.c.period < yesterday, spendings.c.scope == "address")
    )
    connection.execute(
        delete(reservations).where(reservations.c.expires_at.is_(None), reservations.c.created_at < long_ago)
    )


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


def standing(connection: Connection, places: Sequence[Place]) -> dict[tuple[str, str, str], Standing]:
    """Return how each of the places stands where there is anything."""
    found = {}
    for scope, subject, period, *_ in places:
        row = connection.execute(
            select(spendings.c.spent, spendings.c.reserved).where(
                spendings.c.scope == scope, spendings.c.subject == subject, spendings.c.period == period
            )
        ).one_or_none()
        if row is not None:
            found[scope, subject, period] = (row.spent, row.reserved)
    return found
