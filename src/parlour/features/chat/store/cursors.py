"""Cursors of lists: opaque to clients, a place in an order for us."""

import base64
import binascii
from datetime import UTC, datetime

import orjson

from parlour.vocabulary.errors import FieldError, InvalidInput
from parlour.vocabulary.ids import is_id


def encode_moment(moment: datetime, row_id: str) -> str:
    """Return the cursor after a row that is ordered by a moment, then by its id."""
    return base64.urlsafe_b64encode(orjson.dumps([moment.isoformat(), row_id])).decode().rstrip("=")


def decode_moment(cursor: str) -> tuple[datetime, str]:
    """Read such a cursor. Raises InvalidInput for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        moment, row_id = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        when = datetime.fromisoformat(moment)
        if when.tzinfo is None or not isinstance(row_id, str) or not is_id(row_id):
            raise _foreign()
        return when.astimezone(UTC), row_id
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise _foreign() from None


def _foreign() -> InvalidInput:
    return InvalidInput(FieldError("cursor", "This cursor is not one of ours.", "cursor"))
