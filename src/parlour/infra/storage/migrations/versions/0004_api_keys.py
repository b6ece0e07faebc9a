"""API keys."""

import sqlalchemy as sa
from alembic import op

from parlour.infra.storage.schema import Id, Json, Utc

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "api_keys",
        sa.Column("id", Id(), nullable=False),
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("scopes", Json(), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("plan", sa.Text),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("expires_at", Utc),
        sa.Column("last_used_at", Utc),
        sa.Column("revoked_at", Utc),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], ondelete="CASCADE", name="fk_api_keys_person_id"
        ),
    )
    op.create_index("ix_api_keys_person_id", "api_keys", ["person_id"])


def downgrade() -> None:
    """Drop the table: its keys stop to work."""
    op.drop_table("api_keys")
