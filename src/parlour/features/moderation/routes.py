"""What moderation found, for those who run the server: a list to review."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from parlour.features.moderation.schemas import Review, flag_json
from parlour.features.moderation.service import Moderation
from parlour.features.moderation.values import Action, Stage
from parlour.features.people.guards import OperatorOnly
from parlour.infra.web.json import JsonResponse


def routes(moderation: Moderation) -> APIRouter:
    """Return the routes of flags, served by ``moderation``."""
    router = APIRouter(prefix="/api/admin/flags", tags=["moderation"])

    @router.get("")
    async def flags(
        principal: OperatorOnly,  # noqa: ARG001 - only who may
        cursor: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        stage: Stage | None = None,
        action: Literal["flag", "mask", "block"] | None = None,
        reviewed: bool | None = None,  # noqa: FBT001 - a query parameter
    ) -> Response:
        """List what was flagged, masked or blocked, newest first."""
        rows, after = await moderation.flags(
            before=cursor,
            limit=limit,
            stage=stage,
            action=None if action is None else Action(action),
            reviewed=reviewed,
        )
        return JsonResponse({"items": [flag_json(row) for row in rows], "nextCursor": after})

    @router.patch("/{flag_id}")
    async def review(principal: OperatorOnly, flag_id: str, body: Review) -> Response:
        """Mark a flag as reviewed, or as open again."""
        row = await moderation.review(principal, flag_id, reviewed=body.reviewed)
        return JsonResponse(flag_json(row))

    return router
