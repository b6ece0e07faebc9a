"""Flags: what moderation found."""

import sqlalchemy as sa
from alembic import op

from parlour.infra.storage.schema import Id, Json, Utc

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "flags",
        sa.Column("id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("message_id", Id(), nullable=False),
        sa.Column("run_id", Id(), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("reviewed_at", Utc),
        sa.Column("reviewed_by", Id()),
        sa.PrimaryKeyConstraint("id", name="pk_flags"),
        sa.UniqueConstraint("run_id", "stage", "rule", name="uq_flags_run_id"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["chat_sessions.id"], ondelete="CASCADE", name="fk_flags_session_id"
        ),
    )
    op.create_index("ix_flags_session_id", "flags", ["session_id", "action"])
    op.create_index("ix_flags_stage", "flags", ["stage", "id"])
    op.create_index("ix_flags_action", "flags", ["action", "id"])


def downgrade() -> None:
    """Drop the table: what is still to be reviewed is forgotten."""
    op.drop_table("flags")
