"""The HTTP API of assistants and models: what can be chosen, and how the models do."""

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import Response

from parlour.features.assistants.schemas import assistant_json, automatic_json, model_json, state_json
from parlour.features.assistants.service import Assistants
from parlour.features.people.guards import PUBLIC, CallerIfAny, OperatorOnly
from parlour.infra.web.json import JsonResponse


def routes(assistants: Assistants, rests_on: Callable[[], str]) -> APIRouter:
    """Return the routes of ``assistants``; ``rests_on`` says in a sentence where answers come from."""
    router = APIRouter(prefix="/api", tags=["assistants"])

    @router.get("/assistants", dependencies=[PUBLIC])
    async def listed() -> Response:
        """List the assistants that can be asked; everybody may see their names and suggestions."""
        items = [assistant_json(assistant, rests_on()) for assistant in assistants.all()]
        return JsonResponse({"items": items, "nextCursor": None})

    @router.get("/models")
    async def offered(caller: CallerIfAny) -> Response:
        """List the models that can be asked, the automatic choice first; with a token, those of your plan."""
        offers = assistants.models.offered(caller)
        items = [automatic_json(offers), *map(model_json, offers)]
        return JsonResponse({"items": items, "nextCursor": None})

    @router.get("/admin/models")
    async def states(_operator: OperatorOnly) -> Response:
        """Read how each model does: its breaker, its failures, its time to the first word."""
        items = [state_json(state) for state in assistants.models.states()]
        return JsonResponse({"items": items, "nextCursor": None})

    return router
