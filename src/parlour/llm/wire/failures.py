"""What a provider's refusal means: HTTP status and error object in, an error of ours out.

Providers agree on little: OpenAI wraps an object in ``error``, Gemini wraps that in a list, Ollama gives a
bare sentence, vLLM puts the fields at the top, gateways put a number into ``code``. Only the words that
decide what a reader or the retry should do are looked for; the rest is the operator's cause.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from parlour.vocabulary.errors import (
    BadKey,
    ContextTooLong,
    Garbled,
    ModelMissing,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    Unreachable,
)

# Enough to tell what went wrong; a provider may quote a whole prompt back.
LONGEST_CAUSE = 500
# A shorter "key" is a placeholder such as "none", and no secret.
SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error object, whatever its shape. ``words`` are its code and type, in lower case."""

    message: str = ""
    words: tuple[str, ...] = ()
    param: str | None = None
    status: int | None = None
    wait: float | None = None
    """Seconds to wait, where the error object itself says so."""

    def speaks_of(self, *words: str) -> bool:
        """Tell whether its code or type contains one of ``words``."""
        return any(word in mine for mine in self.words for word in words)


def read_complaint(document: object) -> Complaint:
    """Find the error in a decoded document of any of the known shapes."""
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, Mapping) and "error" in document:
        document = document["error"]
    if isinstance(document, str):
        return Complaint(message=document)
    if not isinstance(document, Mapping):
        return Complaint()
    message = document.get("message") or document.get("detail") or ""
    code, kind, param = document.get("code"), document.get("type"), document.get("param")
    words = [each.lower() for each in (code, kind, document.get("status")) if isinstance(each, str)]
    return Complaint(
        message=message if isinstance(message, str) else orjson.dumps(message).decode(),
        words=tuple(words),
        param=param if isinstance(param, str) else None,
        status=_status(code),
        wait=_wait_in(document.get("details")),
    )


def complaint_of(body: bytes) -> Complaint:
    """Read an error's body; one that is no JSON is its own message."""
    try:
        return read_complaint(orjson.loads(body))
    except orjson.JSONDecodeError:
        return Complaint(message=" ".join(body.decode("utf-8", "replace").split()))


def _status(code: object) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code)
    return code if type(code) is int and 400 <= code < 600 else None


def _wait_in(details: object) -> float | None:
    """Return the delay of Google's RetryInfo, written like ``34.07s``."""
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, Mapping) else None
        if isinstance(delay, str) and re.fullmatch(r"\d{1,10}(\.\d{1,9})?s", delay, re.ASCII):
            return float(delay[:-1])
    return None


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds a provider asks us to wait: ``retry-after-ms``, seconds, or an HTTP date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,10}(\.\d{1,6})?", value, re.ASCII):
            return float(value) / unit
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def failure(
    status: int, complaint: Complaint, *, wait: float | None = None, secret: str = ""
) -> ProviderError:
    """Return the error for a refused call, or for an error object inside a stream (``status`` 200).

    ``secret`` is cut out of the cause, should the provider quote it.
    """
    if status == 200 and complaint.status is not None:
        status = complaint.status
    cause = cause_of(status, complaint, secret)
    # Asking again with no money left helps nobody, whatever the header says (P-15).
    if status == 402 or complaint.speaks_of(*_NO_MONEY) or "credit balance is too low" in complaint.message:
        return RateLimited(cause=cause)
    kind = _DECISIVE.get(status) or _kind_by_words(complaint) or _kind_by_status(status)
    return kind(cause=cause, retry_after=complaint.wait if wait is None else wait)


def cause_of(status: int, complaint: Complaint, secret: str) -> str:
    """Return what the operator reads: status, code and the provider's own message."""
    said = complaint.message.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else complaint.message
    parts = [f"HTTP {status}", *complaint.words[:1], said[:LONGEST_CAUSE]]
    return ": ".join(part for part in parts if part)


# These statuses leave no doubt, whatever the words are.
_DECISIVE: dict[int, type[ProviderError]] = {
    401: BadKey,
    403: BadKey,
    404: ModelMissing,
    410: ModelMissing,
    413: ContextTooLong,
    429: RateLimited,
}

_NO_MONEY = ("insufficient_quota", "billing", "insufficient_balance")

_TOO_LONG = re.compile(
    r"maximum context length|context (length|window|size)|prompt is too long|too many (input )?tokens"
    r"|input (is )?too long|reduce the length|input token count.{0,40} exceeds",
    re.IGNORECASE,
)
# Ollama has no codes, only sentences.
_TOO_BUSY = re.compile(r"server (is )?busy|maximum pending requests", re.IGNORECASE)
_WRONG_KEY = re.compile(
    r"api.?key (is )?(not valid|invalid|incorrect)|(invalid|incorrect) api.?key", re.IGNORECASE
)

_WORDS: tuple[tuple[type[ProviderError], tuple[str, ...]], ...] = (
    (
        ContextTooLong,
        ("context_length_exceeded", "context_window", "exceed_context_size", "string_above_max"),
    ),
    (Refused, ("content_filter", "content_policy", "responsibleai", "safety", "invalid_prompt")),
    (BadKey, ("invalid_api_key", "authentication", "permission", "unauthenticated", "unauthorized")),
    (ModelMissing, ("model_not_found", "not_found", "model_not_available", "deploymentnotfound")),
    (Overloaded, ("overloaded", "unavailable", "server_error", "internal", "api_error", "engine_overloaded")),
    (
        RateLimited,
        ("rate_limit", "too_many_requests", "resource_exhausted", "requests_limit", "tokens_limit"),
    ),
)


def _kind_by_words(complaint: Complaint) -> type[ProviderError] | None:
    for kind, words in _WORDS:
        if complaint.speaks_of(*words):
            return kind
    if _TOO_LONG.search(complaint.message):
        return ContextTooLong
    if _TOO_BUSY.search(complaint.message):
        return Overloaded
    return BadKey if _WRONG_KEY.search(complaint.message) else None


def _kind_by_status(status: int) -> type[ProviderError]:
    """Return what a status says by itself. Whatever may pass when asked again is ``Overloaded``."""
    if status in (502, 504):
        return Unreachable
    if status in (408, 409, 425) or status >= 500:
        return Overloaded
    if 300 <= status < 400:
        return Garbled
    return Rejected if 400 <= status < 500 else ProviderError
