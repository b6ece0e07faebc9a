"""Databases of both kinds, one for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from parlour.infra.storage.database import Database
from parlour.infra.storage.opening import open_database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, migrated database."""
    opened = open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a new embedded database goes."""
    return tmp_path / "parlour.db"


@pytest.fixture
def file_url(file: Path) -> str:
    """The URL of a new embedded database."""
    return str(make_url(f"sqlite:///{file}"))
