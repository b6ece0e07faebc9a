"""A provider's judgement of texts, by OpenAI's ``POST /moderations``; other servers speak it, too."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp
import orjson

from parlour.llm.wire.failures import LONGEST_CAUSE, complaint_of, failure, retry_after
from parlour.vocabulary.errors import BadKey, Garbled, TimedOut, Unreachable

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "omni-moderation-latest"

# A thousand results of fourteen categories are less than half of it.
_LARGEST_BODY = 4 * 1024 * 1024


class Moderator(Protocol):
    """Judges texts."""

    async def check(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each text the categories that it falls into, none when it is harmless.

        Raises a :class:`~parlour.vocabulary.errors.ProviderError` when there is no judgement.
        """
        ...


class OpenAIModeration:
    """OpenAI's moderation, or that of a server with the same API."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str = "",
        model: str = DEFAULT_MODEL,
        timeout: float = 3.0,
    ) -> None:
        """Take the session to use; it stays its maker's to close. ``timeout`` is for one whole call."""
        self._session = session
        self._url = f"{base_url.rstrip('/')}/moderations"
        self._key = api_key.strip()
        self._model = model
        self._timeout = timeout

    async def check(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the categories of each text, as :class:`Moderator` says."""
        if not texts:
            return []
        try:
            async with asyncio.timeout(self._timeout), await self._post(texts) as response:
                body = await _body_of(response)
        except TimeoutError as error:
            raise TimedOut("total", self._timeout) from error
        except aiohttp.ClientError as error:
            raise Unreachable(cause=f"{type(error).__name__}: {error}"[:LONGEST_CAUSE]) from error
        if response.status != 200:
            raise failure(
                response.status, complaint_of(body), wait=retry_after(response.headers), secret=self._key
            )
        return _categories(body, len(texts))

    async def _post(self, texts: Sequence[str]) -> aiohttp.ClientResponse:
        headers = {"Content-Type": "application/json"}
        if self._key:
            if not (self._key.isascii() and self._key.isprintable()):
                raise BadKey(cause="the key has characters that no HTTP header can carry")
            headers["Authorization"] = f"Bearer {self._key}"
        body = {"model": self._model, "input": list(texts)}
        # The key goes to the address the operator gave, and nowhere else.
        return await self._session.post(
            self._url, data=orjson.dumps(body), headers=headers, allow_redirects=False
        )


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) > _LARGEST_BODY:
            raise Garbled(cause="the moderation's answer has no end")
    return bytes(body)


def _categories(body: bytes, count: int) -> list[tuple[str, ...]]:
    try:
        results: list[dict[str, Any]] = orjson.loads(body)["results"]
        found = [
            # A server may flag without saying why.
            tuple(sorted(name for name, met in result["categories"].items() if met)) or ("flagged",)
            if result["flagged"]
            else ()
            for result in results
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Garbled(cause=f"POST /moderations gave no results: {type(error).__name__}") from error
    if len(found) != count:
        raise Garbled(cause=f"POST /moderations gave {len(found)} results for {count} texts")
    return found
