"""The table of flags: what was found in which message, and whether somebody has looked at it."""

from sqlalchemy import Column, ForeignKey, Index, Table, Text, UniqueConstraint

from parlour.infra.storage.schema import Id, Json, Utc, metadata

flags = Table(
    "flags",
    metadata,
    Column("id", Id(), primary_key=True),  # in the order in which they came: a list goes by it
    Column("person_id", Id(), nullable=False),
    # Without a message that is kept there is the key that brought it, and an excerpt.
    Column("session_id", Id(), ForeignKey("chat_sessions.id", ondelete="CASCADE")),
    Column("message_id", Id()),
    Column("run_id", Id()),
    Column("key_id", Text),
    Column("excerpt", Text),
    Column("stage", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", Json(), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("reviewed_at", Utc),
    Column("reviewed_by", Id()),
    # A run that is taken up again finds the same once more.
    UniqueConstraint("run_id", "stage", "rule"),
    Index("ix_flags_session_id", "session_id", "action"),
    Index("ix_flags_stage", "stage", "id"),
    Index("ix_flags_action", "action", "id"),
)
