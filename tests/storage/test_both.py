"""What a store may rely on, whichever database is behind it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, Table, insert, select
from sqlalchemy.exc import IntegrityError, StatementError

from parlour.features.people.tables import people
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import open_database
from parlour.infra.storage.schema import Id, Json, Money, Utc, folded, now_ms
from parlour.vocabulary.errors import Conflict, NotFound
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal

pytestmark = pytest.mark.anyio

SOMEBODY = Principal(new_id())
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
kept = Table(
    "kept", MetaData(), Column("id", Id(), primary_key=True), Column("at", Utc), Column("cost", Money)
)
values = Table("plain", MetaData(), Column("id", Id(), primary_key=True), Column("value", Json()))


def add_person(connection: Connection, person_id: str) -> str:
    connection.execute(insert(people).values(id=person_id, role="visitor", created_at=datetime.now(UTC)))
    return person_id


def adding(person_id: str) -> Callable[[Connection], str]:
    """Return a unit of work that stores a row and returns its id."""
    return lambda connection: add_person(connection, person_id)


def ids_of(connection: Connection) -> set[str]:
    return set(connection.execute(select(people.c.id)).scalars())


async def test_what_a_unit_of_work_returns_comes_back_after_its_commit(database: Database) -> None:
    person = new_id()
    assert await database.write(SOMEBODY, adding(person)) == person
    assert await database.read(SOMEBODY, ids_of) == {person}


async def test_an_error_rolls_back_its_own_unit_and_no_other(database: Database) -> None:
    """P-01: also when they are committed together"""
    good = [new_id() for _ in range(20)]

    def add_and_fail(connection: Connection) -> None:
        add_person(connection, new_id())
        raise Conflict

    def add_twice(connection: Connection) -> None:
        add_person(connection, new_id())
        add_person(connection, good[0])
        add_person(connection, good[0])

    def break_something(connection: Connection) -> None:
        add_person(connection, new_id())
        raise ZeroDivisionError

    work: list[Any] = []
    for person in good[1:]:
        work.append(database.write(WORKER, adding(person)))
        work.append(database.write(WORKER, add_and_fail))
        work.append(database.write(WORKER, add_twice))
        work.append(database.write(WORKER, break_something))
    got = await asyncio.gather(*work, return_exceptions=True)
    assert got[::4] == good[1:]
    assert {type(each) for each in got[1::4]} == {Conflict}
    assert all(isinstance(each, IntegrityError) for each in got[2::4])
    assert {type(each) for each in got[3::4]} == {ZeroDivisionError}
    assert await database.read(WORKER, ids_of) == set(good[1:])
    assert await database.write(WORKER, adding(good[0])) == good[0], "it goes on working"


async def test_a_part_of_a_unit_can_be_rolled_back_alone(database: Database) -> None:
    outer, inner = new_id(), new_id()

    def work(connection: Connection) -> None:
        add_person(connection, outer)
        try:
            with connection.begin_nested():
                add_person(connection, inner)
                add_person(connection, outer)
        except IntegrityError:
            return

    await database.write(WORKER, work)
    assert await database.read(WORKER, ids_of) == {outer}


async def test_an_error_of_ours_in_a_read_comes_back_as_it_is(database: Database) -> None:
    def look(_connection: Connection) -> None:
        raise NotFound

    with pytest.raises(NotFound):
        await database.read(SOMEBODY, look)
    assert await database.read(SOMEBODY, ids_of) == set()


async def test_a_read_sees_all_of_another_unit_or_nothing(database: Database) -> None:
    """Many writers add two rows at a time; no reader ever counts an odd number."""

    def add_two(connection: Connection) -> None:
        add_person(connection, new_id())
        add_person(connection, new_id())

    writes = [database.write(WORKER, add_two) for _ in range(40)]
    reads = [database.read(WORKER, lambda c: len(ids_of(c))) for _ in range(40)]
    counted = await asyncio.gather(*(each for pair in zip(writes, reads, strict=True) for each in pair))
    assert [count for count in counted[1::2] if count is None or count % 2] == []
    assert len(await database.read(WORKER, ids_of)) == 80


async def test_a_caller_that_is_cancelled_harms_nobody(database: Database) -> None:
    """C-3"""
    people_ids = [new_id() for _ in range(30)]
    tasks = [asyncio.create_task(database.write(WORKER, adding(p))) for p in people_ids]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    got = await asyncio.gather(*tasks, return_exceptions=True)
    acknowledged = {each for each in got if isinstance(each, str)}
    assert acknowledged >= {p for n, p in enumerate(people_ids) if n % 3}
    assert await database.read(WORKER, ids_of) >= acknowledged
    assert await database.write(WORKER, adding(new_id()))


async def test_a_hundred_units_at_once_are_all_kept(database: Database) -> None:
    wanted = {new_id() for _ in range(100)}
    await asyncio.gather(*(database.write(SOMEBODY, adding(p)) for p in wanted))
    assert await database.read(SOMEBODY, ids_of) == wanted


async def test_a_database_can_be_closed_and_opened_again(database: Database, database_url: str) -> None:
    person = await database.write(WORKER, adding(new_id()))
    await database.close()
    again = open_database(database_url)
    assert await again.read(WORKER, ids_of) == {person}
    await again.close()


@quick
@given(
    at=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - hypothesis adds the zone
    hours=st.integers(-12, 14),
    cost=st.decimals(0, 10**9, places=10),
)
async def test_moments_and_money_come_back_exactly(
    database: Database, at: datetime, hours: int, cost: Decimal
) -> None:
    """Microseconds and ten decimals, whatever zone a moment was given in."""
    moment = at.replace(tzinfo=timezone(timedelta(hours=hours)))
    row_id = new_id()

    def work(connection: Connection) -> Any:  # noqa: ANN401
        kept.create(connection, checkfirst=True)
        connection.execute(insert(kept).values(id=row_id, at=moment, cost=cost))
        return connection.execute(select(kept).where(kept.c.id == row_id)).one()

    row = await database.write(WORKER, work)
    assert (row.id, row.at, row.cost) == (row_id, moment, cost)
    assert row.at.utcoffset() == timedelta(0)


async def test_a_moment_without_a_zone_is_a_mistake(database: Database) -> None:
    with pytest.raises(StatementError, match="time zone"):
        await database.write(
            WORKER,
            lambda c: (
                c.execute(
                    insert(people).values(id=new_id(), role="visitor", created_at=datetime(2026, 1, 1))  # noqa: DTZ001
                ).rowcount
            ),
        )


async def test_moments_sort_as_they_passed(database: Database) -> None:
    """C-1: cursors rely on it"""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [begun + timedelta(microseconds=n) for n in (0, 1, 999_999, 1_000_000, 10_000_000)]

    def work(connection: Connection) -> list[datetime]:
        kept.create(connection, checkfirst=True)
        ids = [new_id() for _ in moments]
        connection.execute(
            insert(kept), [{"id": i, "at": at} for i, at in zip(ids, reversed(moments), strict=True)]
        )
        sorted_rows = select(kept.c.at).where(kept.c.id.in_(ids)).order_by(kept.c.at)
        return list(connection.execute(sorted_rows).scalars())

    assert await database.write(WORKER, work) == moments


@pytest.mark.parametrize("value", [None, {}, [], "", {"a": [1, 2.5, "\N{FAMILY}", None, True]}, "\\u0000"])
async def test_json_comes_back_as_it_went_in(database: Database, value: object) -> None:
    row_id = new_id()

    def work(connection: Connection) -> object:
        values.create(connection, checkfirst=True)
        connection.execute(insert(values).values(id=row_id, value=value))
        return connection.execute(select(values.c.value).where(values.c.id == row_id)).scalar_one()

    assert await database.write(WORKER, work) == value


async def test_the_database_has_one_clock_in_milliseconds(database: Database) -> None:
    """Leases go by it."""
    told = await database.read(WORKER, lambda c: c.execute(select(now_ms())).scalar_one())
    assert isinstance(told, int)
    assert abs(told / 1000 - datetime.now(UTC).timestamp()) < 60


@pytest.mark.parametrize(
    ("text", "folds"),
    [("ÄÖÜ", "äöü"), ("ПРИВЕТ", "привет"), ("ΑΒΓ", "αβγ"), ("Abc", "abc"), ("漢字", "漢字")],
)
async def test_case_is_folded_in_every_script(database: Database, text: str, folds: str) -> None:
    """C-1"""
    assert await database.read(WORKER, lambda c: c.execute(select(folded(text))).scalar_one()) == folds
