"""A provider's judgement, over real HTTP in OpenAI's wire format (M-10)."""

import aiohttp
import openai
import pytest

from parlour.llm.moderation import OpenAIModeration
from parlour.vocabulary.errors import (
    BadKey,
    Garbled,
    Overloaded,
    ProviderError,
    RateLimited,
    TimedOut,
    Unreachable,
)
from tests.moderation.conftest import KEY
from tests.moderation.fake import FakeModeration, Fault

pytestmark = pytest.mark.anyio

TEXTS = ["Good day.", "This is hate.", "Full of violence/graphic.", "", "päivää"]


async def test_each_text_gets_its_categories(moderator: OpenAIModeration, provider: FakeModeration) -> None:
    assert await moderator.check(TEXTS) == [(), ("hate",), ("violence", "violence/graphic"), (), ()]
    assert provider.requests == [{"model": "omni-moderation-latest", "input": TEXTS}]
    assert provider.keys == [f"Bearer {KEY}"]


async def test_nothing_is_asked_about_nothing(moderator: OpenAIModeration, provider: FakeModeration) -> None:
    assert await moderator.check([]) == []
    assert provider.requests == []


async def test_the_official_client_reads_the_same_from_the_same_server(
    moderator: OpenAIModeration, provider: FakeModeration
) -> None:
    """Same request on the wire, same judgement read from it."""
    async with openai.AsyncOpenAI(api_key=KEY, base_url=provider.base_url, max_retries=0) as client:
        theirs = await client.moderations.create(model="omni-moderation-latest", input=TEXTS)
    ours = await moderator.check(TEXTS)
    assert [bool(categories) for categories in ours] == [result.flagged for result in theirs.results]
    assert [set(categories) for categories in ours] == [
        {name for name, met in result.categories.model_dump(by_alias=True).items() if met}
        for result in theirs.results
    ]
    assert provider.requests[0] == provider.requests[1]
    assert provider.keys[0] == provider.keys[1]


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ("status", 503, Overloaded),
        ("status", 429, RateLimited),
        ("status", 401, BadKey),
        ("status", 307, ProviderError),
        ("stall", 0, TimedOut),
        ("garbled", 0, Garbled),
        ("short", 0, Garbled),
        ("null", 0, Garbled),
        ("cut", 0, Unreachable),
    ],
)
async def test_no_judgement_is_an_error_of_ours(
    moderator: OpenAIModeration,
    provider: FakeModeration,
    fault: Fault,
    status: int,
    error: type[ProviderError],
) -> None:
    provider.fault, provider.status = fault, status
    with pytest.raises(error) as raised:
        await moderator.check(["Good day."])
    assert KEY not in f"{raised.value} {raised.value.cause}"


async def test_a_server_that_is_not_there_is_unreachable(session: aiohttp.ClientSession) -> None:
    with pytest.raises(Unreachable):
        await OpenAIModeration(session=session, base_url="http://127.0.0.1:1/v1").check(["Good day."])


async def test_a_key_that_no_header_can_carry_is_told(session: aiohttp.ClientSession) -> None:
    with pytest.raises(BadKey):
        await OpenAIModeration(session=session, base_url="http://127.0.0.1:1/v1", api_key="ключ").check(["a"])
