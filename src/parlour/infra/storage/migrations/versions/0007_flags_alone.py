"""Flags of what is not kept: no session, but the key that brought it, and an excerpt."""

import sqlalchemy as sa
from alembic import op

from parlour.infra.storage.schema import Id

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_PLACES = ("session_id", "message_id", "run_id")


def upgrade() -> None:
    """Let flags stand without a conversation."""
    with op.batch_alter_table("flags") as flags:
        for name in _PLACES:
            flags.alter_column(name, existing_type=Id(), nullable=True)
        flags.add_column(sa.Column("key_id", sa.Text))
        flags.add_column(sa.Column("excerpt", sa.Text))


def downgrade() -> None:
    """Forget those that have none."""
    op.execute("DELETE FROM flags WHERE session_id IS NULL")
    with op.batch_alter_table("flags") as flags:
        flags.drop_column("excerpt")
        flags.drop_column("key_id")
        for name in _PLACES:
            flags.alter_column(name, existing_type=Id(), nullable=False)
