"""Tables of people and of the links by which they sign in."""

from sqlalchemy import Column, ForeignKey, Table, Text

from parlour.infra.storage.schema import Id, Utc, metadata

people = Table(
    "people",
    metadata,
    Column("id", Id(), primary_key=True),
    Column("role", Text, nullable=False),
    Column("display_name", Text),
    Column("email", Text, unique=True),
    Column("created_at", Utc, nullable=False),
    Column("last_seen_at", Utc),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("person_id", Id(), ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("used_at", Utc),
)
