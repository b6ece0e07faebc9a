"""Which session goes on with a conversation that somebody outside has a name for."""

import sqlalchemy as sa
from alembic import op

from parlour.infra.storage.schema import Id

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "threads",
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("assistant_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "assistant_id", "name", name="pk_threads"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["chat_sessions.id"], ondelete="CASCADE", name="fk_threads_session_id"
        ),
    )
    op.create_index("ix_threads_session_id", "threads", ["session_id"])


def downgrade() -> None:
    """Drop the table: who comes back begins a new session."""
    op.drop_table("threads")
