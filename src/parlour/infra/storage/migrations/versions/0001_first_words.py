"""People, sessions, messages, runs, their events, and feedback."""

import sqlalchemy as sa
from alembic import op

from parlour.infra.storage.schema import Id, Json, Money, Utc

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACTIVE = sa.text("status IN ('pending', 'streaming')")


def upgrade() -> None:
    """Create everything."""
    _people()
    _conversations()
    _runs()


def downgrade() -> None:
    """Drop everything."""
    for table in ("feedback", "run_events", "runs", "messages", "chat_sessions", "sign_in_links", "people"):
        op.drop_table(table)


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", Id(), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text),
        sa.Column("email", sa.Text),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("last_seen_at", Utc),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("email", name="uq_people_email"),
    )
    op.create_table(
        "sign_in_links",
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("expires_at", Utc, nullable=False),
        sa.Column("used_at", Utc),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sign_in_links"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], ondelete="CASCADE", name="fk_sign_in_links_person_id"
        ),
    )


def _conversations() -> None:
    op.create_table(
        "chat_sessions",
        sa.Column("id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("assistant_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("title_by", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("leaf_id", Id()),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
        sa.Column("last_active_at", Utc, nullable=False),
        sa.Column("archived_at", Utc),
        sa.Column("deleted_at", Utc),
        sa.PrimaryKeyConstraint("id", name="pk_chat_sessions"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], ondelete="CASCADE", name="fk_chat_sessions_person_id"
        ),
    )
    op.create_index(
        "ix_chat_sessions_recent",
        "chat_sessions",
        ["person_id", sa.text("last_active_at DESC"), sa.text("id DESC")],
    )
    op.create_table(
        "messages",
        sa.Column("id", Id(), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("parent_id", Id()),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("client_message_id", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("citations", Json()),
        sa.Column("usage", Json()),
        sa.Column("cost_usd", Money),
        sa.Column("latency_ms", sa.Integer),
        sa.Column("ttft_ms", sa.Integer),
        sa.Column("finish_reason", sa.Text),
        sa.Column("error", Json()),
        sa.Column("metadata", Json()),
        sa.Column("created_at", Utc, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("person_id", "client_message_id", name="uq_messages_person_id"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["chat_sessions.id"], ondelete="CASCADE", name="fk_messages_session_id"
        ),
    )
    op.create_index("ix_messages_parent", "messages", ["session_id", "parent_id"])
    op.create_table(
        "feedback",
        sa.Column("message_id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("rating", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_feedback"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], ondelete="CASCADE", name="fk_feedback_message_id"
        ),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", Id(), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("user_message_id", Id(), nullable=False),
        sa.Column("message_id", Id(), nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("context", Json()),
        sa.Column("owner", sa.Text),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("stop_requested", sa.Boolean, nullable=False),
        sa.Column("error", Json()),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("finished_at", Utc),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("message_id", name="uq_runs_message_id"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["chat_sessions.id"], ondelete="CASCADE", name="fk_runs_session_id"
        ),
    )
    op.create_index(
        "ix_runs_active", "runs", ["session_id", "place"], sqlite_where=ACTIVE, postgresql_where=ACTIVE
    )
    op.create_index("ix_runs_finished", "runs", ["finished_at"])
    op.create_table(
        "run_events",
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("first_seq", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("entries", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "fence", "first_seq", name="pk_run_events"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE", name="fk_run_events_run_id"),
    )
