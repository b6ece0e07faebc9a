"""What is done to a server's own data from its own machine: upgrade the database, make tokens for scripts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from parlour.features.people.keys import signing_secret
from parlour.features.people.service import People
from parlour.features.people.tokens import Tokens
from parlour.infra.storage.database import Database
from parlour.infra.storage.opening import embedded_file, open_database
from parlour.settings import Settings
from parlour.vocabulary.principal import Role


async def upgrade(settings: Settings) -> None:
    """Bring the database to this version."""
    async with _database(settings) as database:
        await database.migrate()


async def issue_token(settings: Settings, role: Role, email: str | None) -> str:
    """Return a bearer token in ``role`` for the person with this address, made if need be."""
    tokens = Tokens(secret=signing_secret(settings.data_dir))
    async with _database(settings) as database:
        if embedded_file(settings.storage_url) is not None:
            await database.migrate()
        entrance = await People(database, tokens).token_for_script(role, email)
    return entrance.token.text


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.storage_url)
    try:
        yield database
    finally:
        await database.close()
