"""Threads: one session goes on with what somebody outside calls a conversation, on both databases (T-5)."""

import asyncio

import pytest

from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role
from tests.harness import tables
from tests.harness.serving import Served

pytestmark = pytest.mark.anyio


@pytest.fixture
def somebody() -> Principal:
    return Principal(new_id(), Role.USER)


async def thread(served: Served, who: Principal, name: str = "ada", assistant: str = "default") -> str:
    return await served.parlour.conversations.session_of_thread(who, assistant, name)


async def test_a_thread_has_one_session_also_when_many_ask_at_once(
    served: Served, somebody: Principal
) -> None:
    found = await asyncio.gather(*(thread(served, somebody) for _ in range(12)))
    assert len(set(found)) == 1
    assert len(await tables.rows(served, "chat_sessions", person_id=somebody.person_id)) == 1


async def test_every_person_assistant_and_name_has_its_own(served: Served, somebody: Principal) -> None:
    other = Principal(new_id(), Role.USER)
    found = [
        await thread(served, somebody),
        await thread(served, other),
        await thread(served, somebody, "grace"),
        await thread(served, somebody, assistant="another"),
    ]
    assert len(set(found)) == 4


async def test_a_deleted_session_is_followed_by_a_new_one(served: Served, somebody: Principal) -> None:
    first = await thread(served, somebody)
    await served.parlour.conversations.delete_session(somebody, first)
    second = await thread(served, somebody)
    assert second != first
    assert await thread(served, somebody) == second
    await served.parlour.conversations.restore_session(somebody, first)
    assert await thread(served, somebody) == second
