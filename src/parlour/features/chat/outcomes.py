"""How a reply came out: its usage and cost, and failures in words for readers and for the log."""

from math import ceil
from typing import Any

import structlog

from parlour.features.chat.values import Outcome
from parlour.vocabulary.errors import ParlourError
from parlour.vocabulary.messages import FinishReason, Status

_log = structlog.get_logger(__name__)


def settle(outcome: Outcome) -> None:
    """Fill in what was left open."""
    if outcome.status is Status.COMPLETED and outcome.finish_reason is None:
        outcome.finish_reason = FinishReason.STOP


def describe_failure(error: Exception) -> dict[str, Any]:
    """Return what a reader may know of a failure; the operator finds the cause in the log.

    ``retryAfter``: seconds until another attempt makes sense, where that is known.
    """
    if isinstance(error, ParlourError):
        _log.warning("run_failed", code=error.code, cause=error.cause or str(error))
        failure = {"code": error.code, "message": str(error), "retryable": error.retryable}
        if error.retry_after is not None:
            failure["retryAfter"] = ceil(error.retry_after)
        return failure
    _log.error("run_failed", code=ParlourError.code, exc_info=error)
    return {"code": ParlourError.code, "message": ParlourError.sentence, "retryable": True}
