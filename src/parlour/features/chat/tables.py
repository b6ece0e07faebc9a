"""Tables of the conversation: sessions, messages (a tree), runs, their event log, feedback, and threads.

Every row carries ``person_id``, the person it belongs to, so that one rule guards them all.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from parlour.infra.storage.schema import Id, Json, Money, Utc, metadata

sessions = Table(
    "chat_sessions",
    metadata,
    Column("id", Id(), primary_key=True),
    Column("person_id", Id(), ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("assistant_id", Text, nullable=False),
    Column("title", Text),
    Column("title_by", Text),  # who chose the title: words (the first ones), model, person
    Column("model", Text),
    Column("metadata", Json(), nullable=False),
    Column("leaf_id", Id()),  # the message in view; its ancestors are the conversation as it is read
    Column("message_count", Integer, nullable=False),
    Column("token_count", BigInteger, nullable=False, server_default="0"),  # of all its answers, in and out
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Column("last_active_at", Utc, nullable=False),
    Column("archived_at", Utc),
    Column("deleted_at", Utc),
    Index("ix_chat_sessions_recent", "person_id", text("last_active_at DESC"), text("id DESC")),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Id(), primary_key=True),
    Column("session_id", Id(), ForeignKey("chat_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("person_id", Id(), nullable=False),
    Column("parent_id", Id()),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("client_message_id", Text),
    Column("fingerprint", Text),  # of the request, to tell a repeated send from another one with its id
    Column("agent", Text),
    Column("model", Text),
    Column("provider", Text),
    Column("why", Text),  # in a sentence: why this model
    Column("citations", Json()),
    Column("usage", Json()),
    Column("cost_usd", Money),
    Column("latency_ms", Integer),
    Column("ttft_ms", Integer),
    Column("finish_reason", Text),
    Column("error", Json()),
    Column("metadata", Json()),
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("person_id", "client_message_id"),
    Index("ix_messages_parent", "session_id", "parent_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id(), primary_key=True),
    Column("session_id", Id(), ForeignKey("chat_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("person_id", Id(), nullable=False),
    Column("user_message_id", Id(), nullable=False),
    Column("message_id", Id(), nullable=False, unique=True),
    Column("place", Integer, nullable=False),  # in its session: the order of runs, whatever clocks say
    Column("status", Text, nullable=False),
    Column("model", Text),  # what the person asked for; empty means automatic
    Column("plan", Text),  # whose allowances the run has
    Column("key_id", Text),  # of the API key that asked
    Column("context", Json()),
    Column("owner", Text),
    Column("fence", Integer, nullable=False),
    Column("lease_until", BigInteger),  # milliseconds by the database's clock
    Column("stop_requested", Boolean, nullable=False),
    Column("error", Json()),
    Column("created_at", Utc, nullable=False),
    Column("finished_at", Utc),
    Index(
        "ix_runs_active",
        "session_id",
        "place",
        sqlite_where=text("status IN ('pending', 'streaming')"),
        postgresql_where=text("status IN ('pending', 'streaming')"),
    ),
    Index("ix_runs_finished", "finished_at"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", Id(), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("first_seq", Integer, primary_key=True),
    Column("last_seq", Integer, nullable=False),
    Column("entries", Text, nullable=False),  # JSON array of [kind, data], one for each number in the range
)

feedback = Table(
    "feedback",
    metadata,
    Column("message_id", Id(), ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("person_id", Id(), nullable=False),
    Column("rating", Text),
    Column("text", Text),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

# What somebody outside calls a conversation, so that it goes on in one session: a user of an API's caller.
threads = Table(
    "threads",
    metadata,
    Column("person_id", Id(), primary_key=True),
    Column("assistant_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("session_id", Id(), ForeignKey("chat_sessions.id", ondelete="CASCADE"), nullable=False),
    Index("ix_threads_session_id", "session_id"),
)
