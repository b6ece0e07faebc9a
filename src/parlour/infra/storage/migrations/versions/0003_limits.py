"""The ledger of attempts, budgets, and what replicas share about breakers."""

import sqlalchemy as sa
from alembic import op

from parlour.infra.storage.schema import Id, Json, Utc

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; answers from before have no ledger."""
    _attempts()
    _budgets()
    _shared()


def downgrade() -> None:
    """Drop them."""
    for table in ("servers", "breakers", "reservations", "spendings", "attempts"):
        op.drop_table(table)


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("session_id", Id()),
        sa.Column("message_id", Id()),
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("assistant_id", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("cause", sa.Text),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean),
        sa.Column("cached", sa.Boolean, nullable=False),
        sa.Column("cost_usd", sa.BigInteger),
        sa.Column("started_at", Utc, nullable=False),
        sa.Column("ttft_ms", sa.Integer),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], ondelete="CASCADE", name="fk_attempts_person_id"
        ),
    )
    op.create_index("ix_attempts_started", "attempts", ["started_at"])
    op.create_index("ix_attempts_person", "attempts", ["person_id", "started_at"])
    op.create_index("ix_attempts_session", "attempts", ["session_id", "started_at"])
    op.create_index("ix_attempts_message", "attempts", ["message_id", "number"])


def _budgets() -> None:
    op.create_table(
        "spendings",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("person_id", Id()),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "subject", "period", name="pk_spendings"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], ondelete="CASCADE", name="fk_spendings_person_id"
        ),
    )
    op.create_index("ix_spendings_period", "spendings", ["period"])
    op.create_index("ix_spendings_person", "spendings", ["person_id"])
    op.create_table(
        "reservations",
        sa.Column("id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("places", Json(), nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("expires_at", Utc),
        sa.PrimaryKeyConstraint("id", name="pk_reservations"),
    )
    op.create_index("ix_reservations_created", "reservations", ["created_at"])
    op.create_index("ix_reservations_expires", "reservations", ["expires_at"])


def _shared() -> None:
    op.create_table(
        "breakers",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("openings", sa.Integer, nullable=False),
        sa.Column("claimed_until", sa.BigInteger),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("provider", "model", name="pk_breakers"),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_servers"),
    )
