"""How our errors look to OpenAI's clients: ``{"error": {message, type, param, code}}`` and a status.

One table from code to their language, by which their SDKs choose an exception class and whether to try again.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from parlour.vocabulary.errors import InvalidInput, ParlourError, RunFailed

PREFIX: Final = "/v1/"

_REQUEST: Final = "invalid_request_error"
_SERVER: Final = "server_error"
# Where a field of ours stands in a request of theirs.
_THEIRS: Final = {"message": "messages", "sessionId": "metadata.session_id"}


class Kind(NamedTuple):
    """What a code is in OpenAI's words. ``code`` None: ours."""

    status: int
    type: str
    code: str | None = None


KINDS: Final[Mapping[str, Kind]] = {
    "invalid_json": Kind(400, _REQUEST),
    "invalid_input": Kind(400, _REQUEST),
    "context_too_long": Kind(400, _REQUEST, "context_length_exceeded"),
    "refused": Kind(400, _REQUEST, "content_filter"),
    "unauthenticated": Kind(401, _REQUEST, "invalid_api_key"),
    "forbidden": Kind(403, "permission_error", "insufficient_permissions"),
    "not_found": Kind(404, _REQUEST),
    "no_such_route": Kind(404, _REQUEST, "unknown_url"),
    "model_missing": Kind(404, _REQUEST, "model_not_found"),
    "method_not_allowed": Kind(405, _REQUEST),
    "conflict": Kind(409, _REQUEST),
    "too_large": Kind(413, _REQUEST),
    "too_many": Kind(429, "requests", "rate_limit_exceeded"),
    "over_budget": Kind(429, "insufficient_quota", "insufficient_quota"),
    "session_full": Kind(400, _REQUEST, "context_length_exceeded"),
    "internal_error": Kind(500, _SERVER),
}


def kind_of(code: str, status: int) -> Kind:
    """Return what a code is here; for one that OpenAI has no word for, ``status`` is what it is elsewhere."""
    return KINDS.get(code) or Kind(status, _REQUEST if status < 500 else _SERVER)


def error_json(error: ParlourError, *, status: int = 500) -> dict[str, Any]:
    """Return an error as OpenAI's clients read it; ``status`` as for :func:`kind_of`."""
    code = error.run_code if isinstance(error, RunFailed) else error.code
    kind = kind_of(code, status)
    field = error.fields[0] if isinstance(error, InvalidInput) and error.fields else None
    return {
        "error": {
            "message": field.message if field else str(error),
            "type": kind.type,
            "param": _param(field.field) if field else None,
            "code": kind.code or (field.code if field else code),
        }
    }


def retry_headers(code: str, *, retryable: bool) -> dict[str, str]:
    """Return what keeps OpenAI's SDKs from trying again where that cannot help.

    They do so by themselves after 408, 409, 429 and from 500 up. A used-up budget lasts for hours.
    """
    return {"x-should-retry": "true" if retryable and code != "over_budget" else "false"}


def _param(field: str) -> str:
    """Name a field as the request does, and write ``messages.0.content`` as ``messages[0].content``."""
    field = _THEIRS.get(field, field)
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", field)
