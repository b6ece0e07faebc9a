"""The HTTP API of assistants: what can be chosen."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from parlour.features.assistants.service import Assistant, Assistants
from parlour.features.people.guards import PUBLIC
from parlour.infra.web.json import JsonResponse


def routes(assistants: Assistants, rests_on: Callable[[], str]) -> APIRouter:
    """Return the routes of ``assistants``; ``rests_on`` says in a sentence where answers come from."""
    router = APIRouter(prefix="/api", tags=["assistants"])

    @router.get("/assistants", dependencies=[PUBLIC])
    async def listed() -> Response:
        """List the assistants that can be asked; everybody may see their names and suggestions."""
        return JsonResponse(
            {"items": [_json(assistant, rests_on()) for assistant in assistants.all()], "nextCursor": None}
        )

    return router


def _json(assistant: Assistant, rests_on: str) -> dict[str, Any]:
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
