"""What was used and what it cost: one's own, and for operators everybody's."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from parlour.features.limits.schemas import attempt_json, budget_json, span, usage_json
from parlour.features.limits.service import Limits
from parlour.features.limits.values import Grouping, UsageQuery
from parlour.features.people.guards import OperatorOnly, Reader
from parlour.infra.web.json import JsonResponse
from parlour.vocabulary.principal import Role

First = Annotated[date | None, Query(alias="from")]
Last = Annotated[date | None, Query(alias="to")]
OwnGrouping = Literal["day", "provider", "model", "assistant", "session"]


def routes(limits: Limits) -> APIRouter:
    """Return the routes about usage."""
    router = APIRouter(prefix="/api", tags=["usage"])

    @router.get("/me/usage")
    async def own_usage(
        caller: Reader, by: OwnGrouping = "day", first: First = None, last: Last = None
    ) -> Response:
        """Read what you used, by day or else, in the last 30 days or between two of them (in UTC)."""
        begin, end = span(first, last, datetime.now(UTC).date())
        rows = await limits.usage(caller, UsageQuery(by, begin, end, caller.person_id))
        budgets = [
            budget_json(place.scope, place.period, place.limit, standing)
            for place, standing in await limits.own_budgets(caller)
        ]
        return JsonResponse(usage_json(rows, begin, end) | {"budgets": budgets})

    @router.get("/admin/usage")
    async def all_usage(
        caller: OperatorOnly, by: Grouping = "day", first: First = None, last: Last = None
    ) -> Response:
        """Read what everybody used, by day, provider, model, assistant, person or session."""
        begin, end = span(first, last, datetime.now(UTC).date())
        return JsonResponse(usage_json(await limits.usage(caller, UsageQuery(by, begin, end)), begin, end))

    @router.get("/chat/messages/{message_id}/attempts")
    async def attempts(caller: Reader, message_id: str) -> Response:
        """Read the ledger of an answer: which models were asked, in order, why, how it went, what it cost."""
        rows = await limits.attempts(caller, message_id)
        with_cause = caller.role.includes(Role.OPERATOR)
        items = [attempt_json(row, with_cause=with_cause) for row in rows]
        return JsonResponse({"items": items, "nextCursor": None})

    return router
