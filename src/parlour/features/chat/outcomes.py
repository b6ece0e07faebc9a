"""How a reply came out: its usage and cost, and failures in words for readers and for the log."""

from typing import Any

import structlog

from parlour.features.chat.values import Outcome
from parlour.llm.cost import cost_usd
from parlour.llm.model import Prompt
from parlour.llm.tokens import estimate_tokens
from parlour.vocabulary.errors import ParlourError
from parlour.vocabulary.messages import FinishReason, Status
from parlour.vocabulary.usage import Usage

_log = structlog.get_logger(__name__)


def settle(outcome: Outcome) -> None:
    """Fill in what the provider left open: usage by estimate, and the cost of it where a price is known."""
    if outcome.status is Status.COMPLETED and outcome.finish_reason is None:
        outcome.finish_reason = FinishReason.STOP
    if outcome.usage is None and outcome.prompt is not None:
        told = _prompt_tokens(outcome.prompt)
        outcome.usage = Usage(told, estimate_tokens(outcome.content), estimated=True)
    if outcome.usage is not None and outcome.provider is not None and outcome.model is not None:
        outcome.cost_usd = cost_usd(outcome.provider, outcome.model, outcome.usage)


def describe_failure(error: Exception) -> dict[str, Any]:
    """Return what a reader may know of a failure; the operator finds the cause in the log."""
    if isinstance(error, ParlourError):
        _log.warning("run_failed", code=error.code, cause=error.cause or str(error))
        return {"code": error.code, "message": str(error), "retryable": error.retryable}
    _log.error("run_failed", code=ParlourError.code, exc_info=error)
    return {"code": ParlourError.code, "message": ParlourError.sentence, "retryable": True}


def _prompt_tokens(prompt: Prompt) -> int:
    """Estimate the tokens of everything that a prompt holds, on the safe side."""
    texts = (
        prompt.system,
        prompt.partial,
        *(p.text for p in prompt.passages),
        *(t.content for t in prompt.turns),
    )
    return sum(estimate_tokens(text) for text in texts)
