"""Assistants and models as the JSON that clients see."""

from datetime import UTC, datetime, timedelta
from typing import Any

from parlour.features.assistants.models import Offer
from parlour.features.assistants.values import Assistant
from parlour.llm.orchestra.breaker import BreakerState
from parlour.llm.orchestra.routing import AUTOMATIC

Json = dict[str, Any]


def assistant_json(assistant: Assistant, rests_on: str) -> Json:
    """Return an assistant as everybody may see it."""
    return {
        "id": assistant.id,
        "name": assistant.name,
        "description": assistant.description,
        "greeting": assistant.greeting,
        "suggestions": [
            {"title": suggestion.title, "text": suggestion.text} for suggestion in assistant.suggestions
        ],
        "restsOn": rests_on,
    }


def automatic_json(offers: list[Offer]) -> Json:
    """Return the choice to leave the choice to the server; it can what any of its models can."""
    profiles = [offer.candidate.profile for offer in offers]
    return {
        "id": AUTOMATIC,
        "name": "Automatic",
        "provider": None,
        "default": True,
        "available": any(offer.note is None for offer in offers),
        "note": None,
        "contextTokens": max((profile.context_tokens for profile in profiles), default=0),
        "images": any(profile.images for profile in profiles),
        "tools": any(profile.tools for profile in profiles),
        "inputUsdPerMillion": None,
        "outputUsdPerMillion": None,
    }


def model_json(offer: Offer) -> Json:
    """Return a model that can be chosen. A price that is not known is null, never zero."""
    candidate, price = offer.candidate, offer.price
    return {
        "id": offer.id,
        "name": candidate.model.name,
        "provider": candidate.model.provider,
        "default": offer.default,
        "available": offer.note is None,
        "note": offer.note,
        "contextTokens": candidate.profile.context_tokens,
        "images": candidate.profile.images,
        "tools": candidate.profile.tools,
        "inputUsdPerMillion": None if price is None else float(price.input),
        "outputUsdPerMillion": None if price is None else float(price.output),
    }


def state_json(state: BreakerState) -> Json:
    """Return how a model does, for operators."""
    again = None if state.retry_in is None else datetime.now(UTC) + timedelta(seconds=state.retry_in)
    return {
        "provider": state.provider,
        "model": state.model,
        "state": state.state.value,
        "calls": state.calls,
        "failures": state.failures,
        "failureRate": round(state.rate, 4),
        "retryAt": None if again is None else again.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ttftP50Ms": _milliseconds(state.ttft_p50),
        "ttftP95Ms": _milliseconds(state.ttft_p95),
        "lastError": state.last_error,
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
