"""Tables of people, of the links by which they sign in, and of their API keys."""

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from parlour.infra.storage.schema import Id, Json, Utc, metadata

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

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id(), primary_key=True),
    Column("person_id", Id(), ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),  # the beginning of the key, to tell it by
    Column("key_hash", Text, nullable=False, unique=True),
    Column("scopes", Json(), nullable=False),
    Column("role", Text, nullable=False),  # its maker's: the key never has a higher one
    Column("plan", Text),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("last_used_at", Utc),
    Column("revoked_at", Utc),
    Index("ix_api_keys_person_id", "person_id"),
)
