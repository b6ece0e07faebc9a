"""API keys: shown once, kept as a hash, never more than their person, soon gone when revoked (S-1)."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from parlour.features.people.api_keys import MOST_KEYS, REMEMBERED_SECONDS, ApiKeys, NewKey
from parlour.features.people.guards import VISITOR_COOKIE
from parlour.features.people.service import People
from parlour.features.people.tables import api_keys
from parlour.features.people.tokens import Tokens
from parlour.infra.storage.database import WORKER, Database
from parlour.vocabulary.errors import InvalidInput, NotFound, Unauthenticated
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role, Scope
from tests.people.conftest import Clock
from tests.people.test_coming_in import OWN_PAGE, bearer

pytestmark = pytest.mark.anyio

Make = Callable[..., Any]


@pytest.fixture
def user() -> Principal:
    return Principal(new_id(), Role.USER)


@pytest.fixture
def make(client: httpx2.AsyncClient, tokens: Tokens, user: Principal) -> Make:
    """Make a key over HTTP, as a user unless told otherwise; return the response."""

    async def make(
        by: Principal | None = None, token: str | None = None, **fields: object
    ) -> httpx2.Response:
        body = {"name": "script", "scopes": ["chat"], **fields}
        who = token or tokens.issue(by or user).text
        return await client.post("/api/keys", json=body, headers=bearer(who))

    return make


async def rows(database: Database) -> list[Any]:
    return await database.read(WORKER, lambda connection: list(connection.execute(select(api_keys))))


async def test_a_key_is_shown_once_and_kept_as_a_hash(
    client: httpx2.AsyncClient, make: Make, user: Principal, tokens: Tokens, database: Database
) -> None:
    response = await make(scopes=["read", "chat"])
    made = response.json()
    assert response.status_code == 201
    assert re.fullmatch(r"parlour_[0-9A-Za-z]{49}", made["key"])
    assert (made["prefix"], made["scopes"]) == (made["key"][:14], ["chat", "read"])
    listed = await client.get("/api/keys", headers=bearer(tokens.issue(user).text))
    assert listed.json() == {
        "items": [{name: value for name, value in made.items() if name != "key"}],
        "nextCursor": None,
    }
    (row,) = await rows(database)
    assert made["key"][14:] not in str(row)
    me = (await client.get("/api/me", headers=bearer(made["key"]))).json()
    assert (me["personId"], me["role"]) == (user.person_id, "user")


async def test_a_request_by_key_says_so(people: People, user: Principal, clock: Clock) -> None:
    wanted = NewKey("x", frozenset({Scope.CHAT, Scope.READ}))
    made = await people.api_keys.make(Principal(user.person_id, Role.USER, plan="gold"), wanted)
    principal = await people.identify(made.text)
    assert principal == Principal(
        user.person_id, Role.USER, key_id=made.key.id, scopes=frozenset({"chat", "read"}), plan="gold"
    )
    await people.api_keys.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "KEY"},
        {"api-key": "KEY"},
        {"Authorization": "KEY"},
        {"Authorization": "Basic KEY"},
        {"Authorization": "Token KEY"},
        {"Proxy-Authorization": "Bearer KEY"},
        {"Cookie": f"{VISITOR_COOKIE}=KEY"},
        {"Cookie": "Authorization=Bearer KEY"},
        {"Sec-WebSocket-Protocol": "bearer, KEY"},
    ],
)
async def test_a_key_is_taken_from_one_place_only(
    client: httpx2.AsyncClient, make: Make, headers: dict[str, str]
) -> None:
    """A-012"""
    key = (await make()).json()["key"]
    sent = {name: value.replace("KEY", key) for name, value in headers.items()}
    assert (await client.get("/api/me", headers=sent)).status_code == 401
    assert (await client.get(f"/api/me?api_key={key}&key={key}&token={key}")).status_code == 401


async def test_a_key_in_a_cookie_is_nobody(client: httpx2.AsyncClient, make: Make, user: Principal) -> None:
    """A-012"""
    client.cookies.set(VISITOR_COOKIE, (await make()).json()["key"])
    response = await client.get("/api/alias", headers=OWN_PAGE)
    assert response.status_code == 200
    assert response.json() != user.person_id


async def test_visitors_have_no_keys(make: Make) -> None:
    assert (await make(by=Principal(new_id(), Role.VISITOR))).status_code == 403


async def test_a_key_is_never_more_than_its_maker(make: Make, tokens: Tokens) -> None:
    """A-013"""
    assert (await make(scopes=["chat", "admin"])).status_code == 403
    assert (await make(plan="unlimited")).status_code == 403
    assert (await make(by=Principal(new_id(), Role.EDITOR), scopes=["admin"])).status_code == 403
    operator = Principal(new_id(), Role.OPERATOR)
    assert (await make(by=operator, scopes=["admin"], plan="unlimited")).status_code == 201


async def test_a_key_makes_lists_and_revokes_no_keys(client: httpx2.AsyncClient, make: Make) -> None:
    """A-013: not even with all scopes, and whatever it asks for."""
    owner = Principal(new_id(), Role.OWNER)
    made = (await make(by=owner, scopes=[scope.value for scope in Scope])).json()
    assert (await make(token=made["key"])).status_code == 403
    assert (await client.get("/api/keys", headers=bearer(made["key"]))).status_code == 403
    path = f"/api/keys/{made['id']}"
    assert (await client.delete(path, headers=bearer(made["key"]))).status_code == 403


async def test_an_operators_key_operates_only_with_the_scope(client: httpx2.AsyncClient, make: Make) -> None:
    operator = Principal(new_id(), Role.OPERATOR)
    for scopes, status, role in ((["admin"], 200, "operator"), (["chat", "read", "embeddings"], 403, "user")):
        key = (await make(by=operator, scopes=scopes)).json()["key"]
        assert (await client.get("/api/operators-only", headers=bearer(key))).status_code == status
        assert (await client.get("/api/me", headers=bearer(key))).json()["role"] == role


async def test_a_key_goes_down_with_its_person(
    client: httpx2.AsyncClient, make: Make, people: People
) -> None:
    """A-013: what the person may now bounds what their key may."""
    person = (await people.token_for_script(Role.OWNER, "ada@example.org")).principal
    key = (await make(by=person, scopes=["admin"])).json()["key"]
    await people.token_for_script(Role.USER, "ada@example.org")
    assert (await client.get("/api/operators-only", headers=bearer(key))).status_code == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": "chat"},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 101},
        {"name": "a\x1b[31mb"},
        {"expiresAt": "yesterday"},
        {"expiresAt": "2027-01-01T00:00:00"},
        {"expiresAt": "2020-01-01T00:00:00Z"},
        {"role": "owner"},
        {"personId": "0192f0c1-0000-7000-8000-000000000000"},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(
    make: Make, database: Database, fields: dict[str, Any]
) -> None:
    assert (await make(**fields)).status_code == 422
    assert await rows(database) == []


async def test_a_key_expires(client: httpx2.AsyncClient, make: Make, clock: Clock) -> None:
    end = clock.now + timedelta(hours=1)
    key = (await make(expiresAt=end.isoformat())).json()["key"]
    assert (await client.get("/api/me", headers=bearer(key))).status_code == 200
    clock.advance(timedelta(hours=1))
    assert (await client.get("/api/me", headers=bearer(key))).status_code == 401


async def test_a_revoked_key_is_refused_at_once_and_stays_so(
    client: httpx2.AsyncClient, make: Make, user: Principal, tokens: Tokens
) -> None:
    made = (await make()).json()
    assert (await client.get("/api/me", headers=bearer(made["key"]))).status_code == 200
    own = bearer(tokens.issue(user).text)
    assert (await client.delete(f"/api/keys/{made['id']}", headers=own)).json() == {"success": True}
    assert (await client.get("/api/me", headers=bearer(made["key"]))).status_code == 401
    assert (await client.get("/api/keys", headers=own)).json()["items"] == []
    assert (await client.delete(f"/api/keys/{made['id']}", headers=own)).status_code == 404


async def test_a_key_that_was_revoked_elsewhere_is_refused_within_five_seconds(
    database: Database, user: Principal
) -> None:
    time = 0.0
    here, there = ApiKeys(database, clock=lambda: time), ApiKeys(database)
    made = await there.make(user, NewKey("x", frozenset({Scope.CHAT})))
    assert (await here.identify(made.text)).key_id == made.key.id
    await there.revoke(user, made.key.id)
    assert (await here.identify(made.text)).key_id == made.key.id  # remembered for a moment
    assert REMEMBERED_SECONDS < 5
    time = REMEMBERED_SECONDS
    with pytest.raises(Unauthenticated):
        await here.identify(made.text)
    await here.close()


async def test_somebody_elses_key_looks_like_none(
    client: httpx2.AsyncClient, make: Make, tokens: Tokens, database: Database
) -> None:
    made = (await make()).json()
    stranger = bearer(tokens.issue(Principal(new_id(), Role.OWNER)).text)
    for key_id in (made["id"], new_id(), "nothing", "x' OR '1'='1"):
        response = await client.delete(f"/api/keys/{key_id}", headers=stranger)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert [row.revoked_at for row in await rows(database)] == [None]
    assert (await client.get("/api/keys", headers=stranger)).json()["items"] == []


async def test_what_only_looks_like_a_key_does_not_reach_the_database(
    client: httpx2.AsyncClient, make: Make, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A-014"""
    key = (await make()).json()["key"]
    changed = key[:-1] + ("0" if key[-1] != "0" else "1")

    async def read(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(people.api_keys._database, "read", read)
    for text in (changed, key[:-1], f"{key}0", "parlour_", "parlour_' OR '1'='1", f"parlour_{'é' * 49}"):
        with pytest.raises(Unauthenticated):
            await people.identify(text)


async def test_its_use_is_written_down_once_a_minute(
    make: Make, people: People, database: Database, clock: Clock
) -> None:
    key = (await make()).json()["key"]
    noted = []
    begun = clock.now
    for seconds in (0, 59, 1):
        clock.advance(timedelta(seconds=seconds))
        fresh = ApiKeys(database, now=clock)
        await fresh.identify(key)
        await fresh.close()
        noted += [row.last_used_at - begun for row in await rows(database)]
    assert noted == [timedelta(), timedelta(), timedelta(seconds=60)]


async def test_keys_are_bounded_also_when_made_at_once(make: Make, database: Database) -> None:
    for _ in range(MOST_KEYS - 1):
        assert (await make()).status_code == 201
    statuses = sorted(response.status_code for response in await asyncio.gather(make(), make(), make()))
    assert statuses.count(409) >= 1
    assert (await make()).status_code == 409


async def test_keys_made_on_the_server(people: People) -> None:
    keys = people.api_keys
    first = await keys.make_for("ada@example.org", Role.OPERATOR, NewKey("a", frozenset({Scope.ADMIN})))
    second = await keys.make_for("ada@example.org", None, NewKey("b", frozenset({Scope.CHAT}), plan="gold"))
    third = await keys.make_for(None, None, NewKey("c", frozenset({Scope.CHAT})))
    assert first.key.person_id == second.key.person_id != third.key.person_id
    assert [key.name for key in await keys.all()] == ["c", "b", "a"]
    assert [key.email for key in await keys.all()] == [None, "ada@example.org", "ada@example.org"]
    assert (await people.identify(first.text)).role is Role.OPERATOR
    assert (await people.identify(second.text)).plan == "gold"
    await keys.revoke_any(third.key.id)
    with pytest.raises(Unauthenticated):
        await people.identify(third.text)
    with pytest.raises(NotFound):
        await keys.revoke_any(third.key.id)
    await keys.close()


@pytest.mark.parametrize(
    ("role", "scopes"), [(Role.VISITOR, {Scope.CHAT}), (None, {Scope.ADMIN}), (None, set())]
)
async def test_the_server_makes_no_key_that_makes_no_sense(
    people: People, role: Role | None, scopes: set[Scope]
) -> None:
    with pytest.raises(InvalidInput):
        await people.api_keys.make_for("ada@example.org", role, NewKey("a", frozenset(scopes)))
    assert await people.api_keys.all() == []
