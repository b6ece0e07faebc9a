"""Identifiers: UUIDv7 in canonical text form, so that ids sort by the time they were made."""

from uuid import UUID

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562) such as ``0192f0c1-...``, increasing within this process."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Tell whether ``text`` is a UUID in canonical lower-case form; anything else names nothing."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
