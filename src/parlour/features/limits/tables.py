"""Tables of what was used: the ledger of attempts, what was spent and is reserved; and what replicas share.

Every row about a person carries ``person_id``. A ledger line outlives its session, since money was spent on
it, but not its person.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from parlour.infra.storage.schema import Dollars, Id, Json, Utc, metadata

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id(), primary_key=True),
    Column("person_id", Id(), ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("session_id", Id()),  # without one: a completion that belongs to no session
    Column("message_id", Id()),
    Column("run_id", Id(), nullable=False),  # of a completion: its reservation's id
    Column("assistant_id", Text),
    Column("key_id", Text),
    Column("number", Integer, nullable=False),  # its place among the attempts of the same answer
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("error", Text),
    Column("cause", Text),  # for operators only
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean),  # empty: there was no usage to count or to estimate
    Column("cached", Boolean, nullable=False),
    Column("cost_usd", Dollars),  # empty: the price is unknown
    Column("started_at", Utc, nullable=False),
    Column("ttft_ms", Integer),
    Column("duration_ms", Integer, nullable=False),
    Index("ix_attempts_started", "started_at"),
    Index("ix_attempts_person", "person_id", "started_at"),
    Index("ix_attempts_session", "session_id", "started_at"),
    Index("ix_attempts_message", "message_id", "number"),
)

spendings = Table(
    "spendings",
    metadata,
    Column("scope", Text, primary_key=True),  # server, person, visitor, address, key, assistant
    Column("subject", Text, primary_key=True),
    Column("period", Text, primary_key=True),  # 2026-11-21 or 2026-11, in UTC
    Column("person_id", Id(), ForeignKey("people.id", ondelete="CASCADE")),  # where it is one person's own
    Column("reserved", Dollars, nullable=False),
    Column("spent", Dollars, nullable=False),
    Index("ix_spendings_period", "period"),
    Index("ix_spendings_person", "person_id"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", Id(), primary_key=True),  # of the run it was made for, whoever owns that run
    Column("person_id", Id(), nullable=False),
    Column("amount", Dollars, nullable=False),
    Column("places", Json(), nullable=False),  # [[scope, subject, period], …]: the spendings it is part of
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc),  # of a completion without a run: when nobody will settle it any more
    Index("ix_reservations_created", "created_at"),
    Index("ix_reservations_expires", "expires_at"),
)

breakers = Table(
    "breakers",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("until", BigInteger, nullable=False),  # here and below: milliseconds by the database's clock
    Column("openings", Integer, nullable=False),
    Column("claimed_until", BigInteger),  # somebody makes the one trying call
    Column("changed_at", BigInteger, nullable=False),
)

servers = Table(
    "servers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
)
