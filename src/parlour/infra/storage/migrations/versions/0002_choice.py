"""Why a model was chosen, whose allowances a run has, and how many tokens a session has used."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was before has no reason, no plan, and used nothing."""
    op.add_column("messages", sa.Column("why", sa.Text))
    op.add_column("runs", sa.Column("plan", sa.Text))
    op.add_column("runs", sa.Column("key_id", sa.Text))
    op.add_column(
        "chat_sessions", sa.Column("token_count", sa.BigInteger, nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("messages") as messages:
        messages.drop_column("why")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("plan")
        runs.drop_column("key_id")
    with op.batch_alter_table("chat_sessions") as sessions:
        sessions.drop_column("token_count")
