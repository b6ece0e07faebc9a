"""Messages that nobody means to be words."""

import tracemalloc

import pytest

from parlour.features.knowledge.bundled import bundled_folder
from parlour.features.knowledge.service import Knowledge

pytestmark = pytest.mark.anyio

MEGABYTES = 32  # a hundred times what it takes; without a bound it was 4.9 GB


@pytest.mark.parametrize("message", ["x" * 10_000, "'a" * 5_000, " ".join(["qzjxkvbw" * 3] * 400)])
async def test_a_message_of_endless_letters_is_searched_for_within_bounds(message: str) -> None:
    """A-054"""
    knowledge = await Knowledge.load([bundled_folder()])
    tracemalloc.start()
    try:
        assert await knowledge.search(message) == ()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEGABYTES * 1024 * 1024
