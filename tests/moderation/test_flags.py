"""What moderation found is kept once, listed in pages, and marked as reviewed (M-10, O-2)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from parlour.entrypoints.http.application import build_http
from parlour.features.chat.store.accepting import new_session
from parlour.features.chat.tables import sessions
from parlour.features.moderation.routes import routes
from parlour.features.moderation.service import Moderation, Policy
from parlour.features.moderation.store import KEPT_ALONE
from parlour.features.moderation.tables import flags
from parlour.features.moderation.values import About, Action, Finding, MaskReceipt, Stage
from parlour.features.people.service import People
from parlour.features.people.store import remember
from parlour.features.people.tokens import Tokens
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import open_database
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BLOCKED = Finding(Stage.INPUT, "own: casino", Action.BLOCK)
FLAGGED = Finding(Stage.OUTPUT, "cue: key", Action.FLAG)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Each of the two databases in turn."""
    database = open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
def moderation(database: Database) -> Moderation:
    return Moderation(policy=Policy(input=Action.BLOCK), database=database)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(secret=b"own-signing-key-of-the-tests-0123456789abcdefgh")


@pytest.fixture
async def client(
    database: Database, moderation: Moderation, tokens: Tokens
) -> AsyncIterator[httpx2.AsyncClient]:
    app = build_http(routers=[routes(moderation)], doorkeeper=People(database, tokens), metrics=Metrics())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://chat.test") as client:
        yield client


@pytest.fixture
def operator(tokens: Tokens) -> dict[str, str]:
    """The header of somebody who runs the server."""
    return authorization(tokens, Role.OPERATOR)


def authorization(tokens: Tokens, role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(Principal(new_id(), role)).text}"}


async def conversation(database: Database) -> About:
    """Begin a session of somebody new."""
    person = Principal(new_id())

    def work(connection: Connection) -> str:
        remember(connection, person, NOW)
        row = new_session(person, assistant_id="default", now=NOW)
        connection.execute(insert(sessions), row)
        return str(row["id"])

    return About(person.person_id, await database.write(person, work), new_id(), new_id())


async def count(database: Database) -> int:
    counted = select(func.count()).select_from(flags)
    return int(await database.read(WORKER, lambda connection: connection.execute(counted).scalar_one()))


async def test_what_was_found_names_the_message_and_not_its_text(
    client: httpx2.AsyncClient, operator: dict[str, str], moderation: Moderation, database: Database
) -> None:
    about = await conversation(database)
    await moderation.record(about, [BLOCKED])
    listed = (await client.get("/api/admin/flags", headers=operator)).json()
    assert listed["nextCursor"] is None
    [flag] = listed["items"]
    created = flag.pop("createdAt")
    assert datetime.fromisoformat(created).tzinfo is not None
    assert flag == {
        "id": flag["id"],
        "stage": "input",
        "rule": "own: casino",
        "action": "block",
        "detail": {},
        "personId": about.person_id,
        "sessionId": about.session_id,
        "messageId": about.message_id,
        "runId": about.run_id,
        "reviewedAt": None,
        "reviewedBy": None,
        "keyId": None,
        "excerpt": None,
    }


async def test_a_run_that_is_taken_up_again_is_flagged_once(
    moderation: Moderation, database: Database
) -> None:
    about = await conversation(database)
    await moderation.record(about, [FLAGGED])
    await moderation.record(about, [BLOCKED, FLAGGED, FLAGGED])
    assert await count(database) == 2


async def test_nothing_found_is_nothing_stored(moderation: Moderation, database: Database) -> None:
    await moderation.record(await conversation(database), [], MaskReceipt())
    assert await count(database) == 0


async def test_the_receipt_says_how_much_was_masked(
    client: httpx2.AsyncClient, operator: dict[str, str], moderation: Moderation, database: Database
) -> None:
    """B-8"""
    await moderation.record(await conversation(database), [], MaskReceipt({"e-mail": 2, "IBAN": 1}))
    [flag] = (await client.get("/api/admin/flags?action=mask", headers=operator)).json()["items"]
    assert (flag["rule"], flag["detail"]) == ("personal data", {"e-mail": 2, "IBAN": 1})


async def test_pages_go_from_new_to_old_and_lose_nothing(
    client: httpx2.AsyncClient, operator: dict[str, str], moderation: Moderation, database: Database
) -> None:
    about = await conversation(database)
    for number in range(7):
        await moderation.record(about, [Finding(Stage.INPUT, f"own: {number}", Action.FLAG)])
    rules, cursor = [], ""
    for _ in range(4):
        page = (await client.get(f"/api/admin/flags?limit=2{cursor}", headers=operator)).json()
        rules += [flag["rule"] for flag in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert rules == [f"own: {number}" for number in reversed(range(7))]
    assert page["nextCursor"] is None


async def test_flags_are_filtered(
    client: httpx2.AsyncClient, operator: dict[str, str], moderation: Moderation, database: Database
) -> None:
    await moderation.record(await conversation(database), [BLOCKED, FLAGGED])

    async def rules(query: str) -> list[str]:
        answer = await client.get(f"/api/admin/flags?{query}", headers=operator)
        return [flag["rule"] for flag in answer.json()["items"]]

    assert await rules("stage=input") == ["own: casino"]
    assert await rules("action=flag") == ["cue: key"]
    assert await rules("stage=input&action=flag") == []
    assert set(await rules("reviewed=false")) == {"own: casino", "cue: key"}


async def test_somebody_marks_a_flag_as_reviewed_and_takes_it_back(
    client: httpx2.AsyncClient, operator: dict[str, str], moderation: Moderation, database: Database
) -> None:
    await moderation.record(await conversation(database), [BLOCKED])
    [flag] = (await client.get("/api/admin/flags", headers=operator)).json()["items"]
    address = f"/api/admin/flags/{flag['id']}"
    reviewed = (await client.patch(address, json={"reviewed": True}, headers=operator)).json()
    assert reviewed["reviewedAt"] is not None
    assert reviewed["reviewedBy"] is not None
    listed = (await client.get("/api/admin/flags?reviewed=true", headers=operator)).json()
    assert listed["items"] == [reviewed]
    assert (await client.patch(address, json={"reviewed": False}, headers=operator)).json() == flag


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "?cursor=nonsense", None, 422),
        ("GET", "?limit=0", None, 422),
        ("GET", "?limit=101", None, 422),
        ("GET", "?stage=somewhere", None, 422),
        ("GET", "?action=off", None, 422),
        ("PATCH", "/nonsense", {"reviewed": True}, 404),
        ("PATCH", "/019350c1-0000-7000-8000-000000000000", {"reviewed": True}, 404),
        ("PATCH", "/019350c1-0000-7000-8000-000000000000", {"reviewed": "yes"}, 422),
        ("PATCH", "/019350c1-0000-7000-8000-000000000000", {}, 422),
    ],
)
async def test_wrong_questions_are_refused(
    client: httpx2.AsyncClient,
    operator: dict[str, str],
    method: str,
    path: str,
    body: object,
    status: int,
) -> None:
    answer = await client.request(method, f"/api/admin/flags{path}", json=body, headers=operator)
    assert answer.status_code == status


@pytest.mark.parametrize("role", [Role.VISITOR, Role.USER, Role.EDITOR])
async def test_flags_are_for_those_who_run_the_server(
    client: httpx2.AsyncClient, tokens: Tokens, role: Role
) -> None:
    assert (await client.get("/api/admin/flags")).status_code == 401
    headers = authorization(tokens, role)
    assert (await client.get("/api/admin/flags", headers=headers)).status_code == 403
    address = f"/api/admin/flags/{new_id()}"
    assert (await client.patch(address, json={"reviewed": True}, headers=headers)).status_code == 403


async def test_a_blocked_message_is_known_for_later_turns(moderation: Moderation, database: Database) -> None:
    about, other = await conversation(database), await conversation(database)
    await moderation.record(about, [BLOCKED])
    await moderation.record(other, [FLAGGED])
    assert await moderation.blocked_messages(str(about.session_id)) == {about.message_id}
    assert await moderation.blocked_messages(str(other.session_id)) == frozenset()


async def test_what_is_not_kept_is_flagged_with_its_sender_and_an_excerpt(moderation: Moderation) -> None:
    """Nobody could review it otherwise; the same found again is another flag."""
    about = About(new_id(), key_id=new_id(), excerpt="Where is the casino?")
    await moderation.record(about, [BLOCKED])
    await moderation.record(about, [BLOCKED])
    rows, _ = await moderation.flags(before=None, limit=10)
    assert len(rows) == 2
    assert (rows[0]["person_id"], rows[0]["key_id"]) == (about.person_id, about.key_id)
    assert (rows[0]["session_id"], rows[0]["excerpt"]) == (None, "Where is the casino?")


async def test_flags_without_a_conversation_go_by_themselves(
    moderation: Moderation, database: Database
) -> None:
    about = await conversation(database)
    await moderation.record(about, [BLOCKED])
    await moderation.record(About(about.person_id, excerpt="long ago"), [BLOCKED])
    long_ago = update(flags).values(created_at=datetime.now(UTC) - KEPT_ALONE - timedelta(hours=1))
    await database.write(WORKER, lambda connection: connection.execute(long_ago))
    await moderation.record(About(about.person_id, excerpt="now"), [BLOCKED])
    rows, _ = await moderation.flags(before=None, limit=10)
    assert [row["excerpt"] for row in rows] == ["now", None]


async def test_flags_go_with_their_session(moderation: Moderation, database: Database) -> None:
    about = await conversation(database)
    await moderation.record(about, [BLOCKED])
    gone = delete(sessions).where(sessions.c.id == about.session_id)
    await database.write(WORKER, lambda connection: connection.execute(gone) and None)
    assert await count(database) == 0
