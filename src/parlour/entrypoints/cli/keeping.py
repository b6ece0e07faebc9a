"""What is done to a server's own data from its own machine: upgrade the database, make tokens and keys."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from parlour.features.people.api_keys import NewKey
from parlour.features.people.keys import signing_secret
from parlour.features.people.service import People
from parlour.features.people.tokens import Tokens
from parlour.infra.storage.database import Database
from parlour.infra.storage.opening import embedded_file, open_database
from parlour.settings import Settings
from parlour.vocabulary.principal import Role, Scope


async def upgrade(settings: Settings) -> None:
    """Bring the database to this version."""
    async with _database(settings) as database:
        await database.migrate()


async def issue_token(settings: Settings, role: Role, email: str | None) -> str:
    """Return a bearer token in ``role`` for the person with this address, made if need be."""
    async with _people(settings) as people:
        entrance = await people.token_for_script(role, email)
    return entrance.token.text


async def make_key(
    settings: Settings,
    *,
    name: str,
    scopes: Sequence[Scope],
    email: str | None,
    role: Role | None,
    days: int | None,
    plan: str | None,
) -> str:
    """Return a new API key for the person with this address, made if need be."""
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    async with _people(settings) as people:
        made = await people.key_for_script(email, role, NewKey(name, frozenset(scopes), expires_at, plan))
    return made.text


async def list_keys(settings: Settings) -> list[str]:
    """Return a line for each API key that was not revoked, newest first."""
    now = datetime.now(UTC)
    async with _people(settings) as people:
        keys = await people.api_keys.all()
    return [
        "  ".join(
            (
                key.id,
                f"{key.prefix}…",
                ",".join(sorted(key.scopes)),
                key.email or key.person_id,
                f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used",
                _ending(key.expires_at, now),
                key.name,
            )
        )
        for key in keys
    ]


async def revoke_key(settings: Settings, key_id: str) -> None:
    """End an API key. Raises NotFound."""
    async with _people(settings) as people:
        await people.api_keys.revoke_any(key_id)


def _ending(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never expires"
    return f"{'expired' if moment <= now else 'expires'} {moment:%Y-%m-%d}"


@asynccontextmanager
async def _people(settings: Settings) -> AsyncIterator[People]:
    tokens = Tokens(secret=signing_secret(settings.data_dir))
    async with _database(settings) as database:
        if embedded_file(settings.storage_url) is not None:
            await database.migrate()
        yield People(database, tokens, plans=settings.plans)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.storage_url)
    try:
        yield database
    finally:
        await database.close()
