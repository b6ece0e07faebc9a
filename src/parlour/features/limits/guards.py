"""What a route declares that keeps an answer open: its place among those a person may have at once."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from parlour.features.limits.streams import Streams
from parlour.features.people.guards import PERSON_KEY


async def _held(request: Request) -> AsyncIterator[None]:
    """Hold a place until the response has been sent, or its reader has left."""
    streams: Streams = request.app.state.streams
    # The guard that stands before this one among the route's parameters has said who is asking.
    with streams.held(request.scope[PERSON_KEY]):
        yield


OpenAnswer = Annotated[None, Depends(_held)]
"""Declare it after the caller: refuses before anything is read or stored, lets go when the response ends."""
