"""The list of all rooms' routes."""

from collections.abc import Callable

from fastapi import APIRouter

from parlour.entrypoints.http import aliases
from parlour.entrypoints.openai_api import routes as openai_routes
from parlour.features.assistants import routes as assistant_routes
from parlour.features.assistants.completions import Completions
from parlour.features.assistants.embeddings import Embedding
from parlour.features.assistants.service import Assistants
from parlour.features.chat import routes as chat_routes
from parlour.features.chat.replies import Replies
from parlour.features.chat.service import Conversations
from parlour.features.limits import routes as limit_routes
from parlour.features.limits.service import Limits
from parlour.features.moderation import routes as moderation_routes
from parlour.features.moderation.service import Moderation
from parlour.features.people import routes as people_routes
from parlour.features.people.service import People
from parlour.infra.observability.metrics import Metrics


def all_routers(
    *,
    conversations: Conversations,
    replies: Replies,
    assistants: Assistants,
    completions: Completions,
    embedding: Embedding,
    people: People,
    limits: Limits,
    moderation: Moderation,
    metrics: Metrics,
    rests_on: Callable[[], str],
) -> list[APIRouter]:
    """Return the routes of every room. The aliases come last: they take what no other address fits."""
    return [
        chat_routes.routes(conversations, replies, metrics),
        assistant_routes.routes(assistants, rests_on),
        people_routes.routes(people),
        limit_routes.routes(limits),
        moderation_routes.routes(moderation),
        openai_routes.routes(
            conversations=conversations,
            replies=replies,
            assistants=assistants,
            completions=completions,
            embedding=embedding,
            metrics=metrics,
        ),
        aliases.routes(conversations, replies, metrics),
    ]
