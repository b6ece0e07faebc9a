"""Sessions: create, list, find, rename, put away, delete, bring back; and where titles come from."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from parlour.features.chat import tables
from parlour.infra.storage.database import WORKER
from tests.fakes.provider import FakeProvider
from tests.harness import serving as harness
from tests.harness.serving import PATIENCE, Person, serving
from tests.harness.tables import rows

pytestmark = pytest.mark.anyio

FIELDS = {
    *("id", "sessionId", "title", "assistantId", "model", "metadata", "messageCount"),
    *("createdAt", "updatedAt", "lastActiveAt", "archived"),
}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


async def found(person: Person, query: str) -> list[str]:
    """Return the ids that a search finds."""
    return [each["id"] for each in await person.sessions(f"?q={quote(query)}")]


async def test_a_new_session_is_empty_and_can_be_read(visitor: Person) -> None:
    """C-1"""
    made = await visitor.ok("POST", "/api/chat/sessions", status=201)
    assert set(made) == FIELDS
    assert made["id"] == made["sessionId"]
    assert (made["title"], made["metadata"], made["messageCount"], made["archived"]) == (None, {}, 0, False)
    assert made["createdAt"].endswith("Z")
    assert await visitor.ok("GET", f"/api/chat/sessions/{made['id']}") == made
    assert await visitor.messages(made["id"]) == []
    assert await visitor.sessions() == [made]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(texts, values, max_size=4))
async def test_any_json_can_be_its_metadata(visitor: Person, metadata: dict[str, Any]) -> None:
    """C-1"""
    made = await visitor.ok("POST", "/api/chat/sessions", {"metadata": metadata}, status=201)
    assert made["metadata"] == metadata
    assert (await visitor.ok("GET", f"/api/chat/sessions/{made['id']}"))["metadata"] == metadata


async def test_metadata_has_a_limit(visitor: Person) -> None:
    """C-1"""
    answer = await visitor.request("POST", "/api/chat/sessions", body={"metadata": {"a": "x" * 17_000}})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "metadata")


async def test_sessions_are_listed_by_their_newest_activity(visitor: Person) -> None:
    """C-1"""
    first, second, third = [await visitor.session(title=name) for name in "abc"]
    assert [each["id"] for each in await visitor.sessions()] == [third, second, first]
    await visitor.send("Hello [[n=1]]", sessionId=first)
    assert [each["id"] for each in await visitor.sessions()] == [first, third, second]
    renamed = await visitor.ok("PATCH", f"/api/chat/sessions/{second}", {"title": "b again"})
    assert renamed["title"] == "b again"
    assert [each["id"] for each in await visitor.sessions()] == [first, third, second], "no activity"


async def test_pages_hold_every_session_once_also_where_moments_are_equal(visitor: Person) -> None:
    """C-1: cursor pages with ties"""
    made = await asyncio.gather(*(visitor.session() for _ in range(11)))
    await _same_moment(visitor)
    seen, cursor = [], ""
    while True:
        page = await visitor.ok("GET", f"/api/chat/sessions?limit=3{cursor}")
        seen += [each["id"] for each in page["items"]]
        assert len(page["items"]) <= 3
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == 11
    assert set(seen) == set(made)
    assert seen == [each["id"] for each in await visitor.sessions()]


async def _same_moment(visitor: Person) -> None:
    moment = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
    await visitor.served.parlour.database.write(
        WORKER,
        lambda c: (
            c.execute(
                update(tables.sessions)
                .where(tables.sessions.c.person_id == visitor.id)
                .values(last_active_at=moment)
            ).rowcount
        ),
    )


def cursor_of(*parts: object) -> str:
    """Return a cursor in our form with foreign content."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


AN_ID = "01900000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=101", "limit=1e9", "limit=NaN", "limit=x", "archived=maybe"),
        *("cursor=x", "cursor=%00", "cursor=" + "A" * 201, "cursor=" + quote("é")),
        "cursor=" + cursor_of("2026-01-01T00:00:00+00:00", 5),
        "cursor=" + cursor_of("2026-01-01T00:00:00+00:00", None),
        "cursor=" + cursor_of("2026-01-01T00:00:00+00:00", "' OR 1"),
        "cursor=" + cursor_of("2026-01-01T00:00:00", AN_ID),
        "cursor=" + cursor_of("0001-01-01T00:00:00+23:59", AN_ID),
        "cursor=" + cursor_of("9999-12-31T23:59:59-23:59", AN_ID),
        "cursor=" + cursor_of(17, AN_ID),
        "cursor=" + cursor_of(),
        "q=" + "x" * 201,
    ],
)
async def test_a_list_that_cannot_be_meant_is_refused_by_name(visitor: Person, query: str) -> None:
    """A-053"""
    answer = await visitor.request("GET", f"/api/chat/sessions?{query}")
    assert (answer.status, answer.json["code"]) == (422, "invalid_input")
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]


async def test_search_finds_titles_and_messages_in_any_case_of_any_script(visitor: Person) -> None:
    """C-1"""
    title = await visitor.session(title="Über die Ärmelkanäle")
    said = (await visitor.send("ПРИВЕТ, как дела? [[n=2]]"))["sessionId"]
    answered = (await visitor.send("[[n=6]] Zebra fish"))["sessionId"]
    assert await found(visitor, "über DIE ärmel") == [title]
    assert await found(visitor, "привет") == [said]
    assert await found(visitor, "ZEBRA-3") == [answered], "what the assistant said"
    assert await found(visitor, "not said by anyone") == []
    assert await found(visitor, "  ") == [answered, said, title], "nothing asked is no search"


@pytest.mark.parametrize(
    "word", ["100%", "a_b", "back\\slash", "it's", 'say "hi"', "%_\\", "a*", "(x OR y)", "--", "{{7*7}}", "'"]
)
async def test_search_takes_signs_literally(visitor: Person, word: str) -> None:
    """C-1, A-052"""
    wanted = await visitor.session(title=f"before {word} after")
    await visitor.session(title="before 100 aXb backXslash its say hi after")
    assert await found(visitor, word) == [wanted]


async def test_search_finds_only_ones_own(visitor: Person, stranger: Person) -> None:
    """A-052"""
    await stranger.send("A canary sings [[n=2]]")
    assert await found(visitor, "canary") == []
    assert await found(visitor, "' OR 1=1 --") == []


async def test_archived_sessions_are_listed_apart(visitor: Person) -> None:
    """C-1"""
    kept, gone = await visitor.session(), await visitor.session()
    assert (await visitor.ok("PATCH", f"/api/chat/sessions/{gone}", {"archived": True}))["archived"]
    assert [each["id"] for each in await visitor.sessions()] == [kept]
    assert [each["id"] for each in await visitor.sessions("?archived=true")] == [gone]
    assert (await visitor.ok("GET", f"/api/chat/sessions/{gone}"))["archived"]
    assert not (await visitor.ok("PATCH", f"/api/chat/sessions/{gone}", {"archived": False}))["archived"]
    assert len(await visitor.sessions()) == 2


async def test_a_change_changes_what_it_names_and_nothing_else(visitor: Person) -> None:
    """C-1"""
    session = await visitor.session(title="Old", metadata={"a": 1})
    before = await visitor.ok("GET", f"/api/chat/sessions/{session}")
    after = await visitor.ok("PATCH", f"/api/chat/sessions/{session}", {"metadata": {"b": [None]}})
    assert after == before | {"metadata": {"b": [None]}, "updatedAt": after["updatedAt"]}
    assert await visitor.ok("GET", f"/api/chat/sessions/{session}") == after


async def test_a_deleted_session_is_gone_until_it_is_restored(visitor: Person) -> None:
    """C-1"""
    reply = await visitor.send("Keep this [[n=2]]")
    address = f"/api/chat/sessions/{reply['sessionId']}"
    before = await visitor.messages(reply["sessionId"])
    assert await visitor.ok("DELETE", address) == {"success": True}
    assert await visitor.sessions() == []
    for method, path, body in (
        ("GET", address, None),
        ("GET", f"{address}/messages", None),
        ("PATCH", address, {"title": "x"}),
        ("DELETE", address, None),
        ("POST", "/api/chat", {"message": "hi", "sessionId": reply["sessionId"]}),
        ("GET", f"/api/chat/runs/{reply['runId']}", None),
        ("GET", f"/api/chat/runs/{reply['runId']}/events", None),
        ("POST", f"/api/chat/messages/{reply['messageId']}/regenerate", {}),
        ("PUT", f"/api/chat/messages/{reply['messageId']}/feedback", {"rating": "up"}),
    ):
        assert (await visitor.request(method, path, body=body)).status == 404, (method, path)
    restored = await visitor.ok("POST", f"{address}/restore")
    assert restored["id"] == reply["sessionId"]
    assert await visitor.messages(reply["sessionId"]) == before
    assert (await visitor.ok("POST", f"{address}/restore"))["id"] == reply["sessionId"], "again: no harm"


async def test_all_of_ones_own_can_be_deleted_at_once(visitor: Person, stranger: Person) -> None:
    """C-1"""
    for _ in range(3):
        await visitor.session()
    theirs = await stranger.session()
    assert await visitor.ok("DELETE", "/api/chat/sessions") == {"success": True, "deleted": 3}
    assert await visitor.sessions() == []
    assert await visitor.ok("DELETE", "/api/chat/sessions") == {"success": True, "deleted": 0}
    assert [each["id"] for each in await stranger.sessions()] == [theirs]


async def test_history_comes_in_pages_newest_first_each_in_the_order_it_was_said(visitor: Person) -> None:
    """C-1"""
    session = await visitor.session()
    for number in range(3):
        await visitor.send(f"Number {number} [[n=1]]", sessionId=session)
    whole = await visitor.messages(session)
    pages: list[list[dict[str, Any]]] = []
    cursor = ""
    while True:
        page = await visitor.ok("GET", f"/api/chat/sessions/{session}/messages?limit=4{cursor}")
        pages.insert(0, page["items"])
        if page["nextCursor"] is None:
            break
        cursor = f"&before={page['nextCursor']}"
    assert [len(page) for page in pages] == [2, 4]
    assert [each for page in pages for each in page] == whole
    other = await visitor.send("Elsewhere [[n=1]]")
    for foreign in (other["messageId"], AN_ID, "x"):
        path = f"/api/chat/sessions/{session}/messages?before={foreign}"
        assert (await visitor.request("GET", path)).status == 404


async def titled(person: Person, session: str, unlike: str) -> str:
    """Wait until a session's title is another than ``unlike``."""
    async with asyncio.timeout(PATIENCE):
        while (title := (await person.ok("GET", f"/api/chat/sessions/{session}"))["title"]) == unlike:
            pass
    return str(title)


async def test_a_session_is_titled_by_its_first_words_at_once_and_by_the_model_after_the_answer(
    visitor: Person,
) -> None:
    """C-1"""
    question = "Tell me  about\n the   harbour museum [[n=4;ttft=1]]"
    async with visitor.stream(question) as stream:
        start = await stream.begun("start")
        first = (await visitor.ok("GET", f"/api/chat/sessions/{start['sessionId']}"))["title"]
        await stream.rest()
    assert first == "Tell me about the harbour museum [[n=4;ttft=1]]"
    title = await titled(visitor, start["sessionId"], first)
    assert len(title) <= 61


async def test_a_title_that_a_person_chose_stays(visitor: Person, provider: FakeProvider) -> None:
    """C-1"""
    named = await visitor.session(title="Mine")
    async with visitor.stream("Name it later [[n=2;ttft=0.2]]") as stream:
        start = await stream.begun("start")
        await visitor.ok("PATCH", f"/api/chat/sessions/{start['sessionId']}", {"title": "Chosen"})
        await stream.rest()
    await visitor.send("Hello there [[n=2]]", sessionId=named)
    await visitor.served.parlour.turns.finish_all(PATIENCE)
    assert (await visitor.ok("GET", f"/api/chat/sessions/{named}"))["title"] == "Mine"
    (stored,) = await rows(visitor.served, "chat_sessions", id=start["sessionId"])
    assert (stored["title"], stored["title_by"]) == ("Chosen", "person")


async def test_a_title_that_cannot_be_written_harms_nothing(visitor: Person) -> None:
    """C-1: the first words stay"""
    reply = await visitor.send("Fine at first [[n=2;status=200]] then not")
    await visitor.served.parlour.turns.finish_all(PATIENCE)
    assert reply["message"]["status"] == "completed"


async def test_without_a_model_the_first_words_stay(tmp_path_factory: pytest.TempPathFactory) -> None:
    """C-1"""
    async with serving(harness.settings(tmp_path_factory.mktemp("parlour"))) as served:
        visitor = await served.visitor()
        long = "word " * 30
        reply = await visitor.send(long)
        session = await visitor.ok("GET", f"/api/chat/sessions/{reply['sessionId']}")
    assert session["title"].endswith("…")
    assert len(session["title"]) <= 61
    assert long.startswith(session["title"][:-1])
