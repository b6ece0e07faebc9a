"""Visitors, the owner's link, and who may call what (S-1, S-2)."""

import asyncio
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import text

from parlour.features.people.guards import VISITOR_COOKIE
from parlour.features.people.service import People
from parlour.features.people.tokens import Tokens
from parlour.infra.storage.database import WORKER, Database
from parlour.vocabulary.errors import InvalidInput, Unauthenticated
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role
from tests.people.conftest import Clock

pytestmark = pytest.mark.anyio

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


async def count(database: Database, table: str) -> int:
    query = text(f"select count(*) from {table}")  # noqa: S608 - a name from this file
    return await database.read(WORKER, lambda connection: int(connection.execute(query).scalar_one()))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_visitor_comes_in_without_leaving_a_trace(
    client: httpx2.AsyncClient, database: Database
) -> None:
    response = await client.post("/api/visitors")
    visitor = response.json()
    assert response.status_code == 201
    assert set(visitor) == {"visitorId", "token", "expiresAt"}
    me = (await client.get("/api/me", headers=bearer(visitor["token"]))).json()
    assert me == {"personId": visitor["visitorId"], "role": "visitor", "displayName": None}
    assert await count(database, "people") == 0


async def test_the_owners_link_works_once(client: httpx2.AsyncClient, people: People) -> None:
    token = await people.owner_link_token()
    first = await client.post("/api/sign-in", json={"token": token})
    second = await client.post("/api/sign-in", json={"token": token})
    assert first.status_code == 200
    assert set(first.json()) == {"token", "expiresAt", "personId", "role"}
    me = (await client.get("/api/me", headers=bearer(first.json()["token"]))).json()
    assert (me["role"], me["personId"]) == ("owner", first.json()["personId"])
    assert second.status_code == 401
    assert "been used" in second.json()["detail"]


async def test_of_many_at_once_exactly_one_signs_in(client: httpx2.AsyncClient, people: People) -> None:
    """A-016, A-024."""
    token = await people.owner_link_token()
    tries = [client.post("/api/sign-in", json={"token": token}) for _ in range(20)]
    statuses = sorted(response.status_code for response in await asyncio.gather(*tries))
    assert statuses == [200] + [401] * 19


async def test_each_start_replaces_the_link_until_an_owner_has_come(
    people: People, database: Database
) -> None:
    old = await people.owner_link_token()
    new = await people.owner_link_token()
    assert old is not None
    assert new is not None
    with pytest.raises(Unauthenticated):
        await people.sign_in(old)
    await people.sign_in(new)
    assert await people.owner_link_token() is None
    assert await count(database, "people") == 1


async def test_a_link_grows_old(people: People, clock: Clock) -> None:
    token = await people.owner_link_token()
    assert token is not None
    clock.advance(timedelta(hours=24, seconds=1))
    with pytest.raises(Unauthenticated):
        await people.sign_in(token)


async def test_only_the_hash_of_a_link_is_stored(people: People, database: Database) -> None:
    token = await people.owner_link_token()
    query = text("select token_hash from sign_in_links")
    stored = await database.read(WORKER, lambda connection: connection.execute(query).scalars().all())
    assert len(stored) == 1
    assert token not in stored


@pytest.mark.parametrize(
    "body", [{}, {"token": ""}, {"token": 1}, {"token": "x", "role": "owner"}, {"token": "x" * 201}, []]
)
async def test_a_crooked_sign_in_is_refused(client: httpx2.AsyncClient, body: object) -> None:
    assert (await client.post("/api/sign-in", json=body)).status_code == 422


async def test_a_guessed_link_is_refused(client: httpx2.AsyncClient, people: People) -> None:
    await people.owner_link_token()
    assert (await client.post("/api/sign-in", json={"token": "guess"})).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer ' OR '1'='1"},
        {"Authorization": f"Bearer {'x' * 60_000}"},
        {"X-User-Id": "1", "X-Forwarded-User": "root", "x-request-from": "internal", "X-Tenant": "1"},
        {"X-Original-URL": "/livez", "X-Rewrite-URL": "/livez", "X-HTTP-Method-Override": "GET"},
        {"Cookie": "parlour_visitor=x"},
    ],
)
async def test_nobody_is_nobody(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    """A-014, A-029."""
    response = await client.get("/api/me", headers=headers)
    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_token_in_the_address_is_not_looked_at(client: httpx2.AsyncClient, tokens: Tokens) -> None:
    """A-080."""
    token = tokens.issue(Principal(new_id(), Role.OWNER)).text
    for name in ("access_token", "token", "api_key", "authorization"):
        assert (await client.get("/api/me", params={name: token})).status_code == 401


async def test_two_tokens_in_one_request_are_refused(client: httpx2.AsyncClient, tokens: Tokens) -> None:
    token = tokens.issue(Principal(new_id())).text
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert (await client.get("/api/me", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.VISITOR, 403), (Role.USER, 403), (Role.EDITOR, 403), (Role.OPERATOR, 200), (Role.OWNER, 200)],
)
async def test_operators_routes_are_for_operators(
    client: httpx2.AsyncClient, tokens: Tokens, role: Role, status: int
) -> None:
    token = tokens.issue(Principal(new_id(), role)).text
    assert (await client.get("/api/operators-only", headers=bearer(token))).status_code == status


async def test_the_same_origin_page_is_a_visitor_by_cookie(client: httpx2.AsyncClient) -> None:
    """T-7."""
    first = await client.get("/api/alias", headers=OWN_PAGE)
    cookie = first.headers["set-cookie"]
    assert first.status_code == 200
    assert all(part in cookie for part in (f"{VISITOR_COOKIE}=", "HttpOnly", "SameSite=Lax", "Path=/api"))
    second = await client.get("/api/alias", headers=OWN_PAGE)
    assert second.json() == first.json()
    assert "set-cookie" not in second.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://chat.test"},
        {"Referer": "http://chat.test/page?x=1"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://chat.test"},
    ],
)
async def test_an_origin_of_our_own_proves_the_page(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await client.post("/api/alias", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://chat.test.evil.example"},
        {"Origin": "http://evilchat.test"},
        {"Origin": "http://chat.test:444"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://chat.test"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Referer": "https://evil.example/?http://chat.test"},
    ],
)
async def test_another_page_is_nobody_even_with_the_cookie(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    """A-028, S-4."""
    await client.get("/api/alias", headers=OWN_PAGE)
    assert VISITOR_COOKIE in client.cookies
    response = await client.post("/api/alias", headers=headers)
    assert response.status_code == 401
    assert "access-control-allow-origin" not in response.headers


async def test_a_cookie_is_for_visitors_only(client: httpx2.AsyncClient, tokens: Tokens) -> None:
    owner = Principal(new_id(), Role.OWNER)
    client.cookies.set(VISITOR_COOKIE, tokens.issue(owner).text)
    response = await client.get("/api/alias", headers=OWN_PAGE)
    assert response.json() != owner.person_id


async def test_a_token_goes_before_the_cookie(client: httpx2.AsyncClient, tokens: Tokens) -> None:
    await client.get("/api/alias", headers=OWN_PAGE)
    user = Principal(new_id(), Role.USER)
    token = tokens.issue(user).text
    assert (await client.get("/api/alias", headers=OWN_PAGE | bearer(token))).json() == user.person_id
    assert (await client.get("/api/alias", headers=OWN_PAGE | bearer("x"))).status_code == 401


async def test_a_script_token_finds_its_person_again(people: People) -> None:
    first = await people.token_for_script(Role.OPERATOR, " Ada@Example.org ")
    second = await people.token_for_script(Role.EDITOR, "ada@example.org")
    assert first.principal.person_id == second.principal.person_id
    assert second.principal.role is Role.EDITOR
    assert (await people.token_for_script(Role.EDITOR, None)).principal != second.principal


@pytest.mark.parametrize("email", ["", "x", "@x", "x@", "a@b\0", "a" * 251 + "@b.c"])
async def test_a_script_token_needs_an_address_that_is_one(people: People, email: str) -> None:
    with pytest.raises(InvalidInput):
        await people.token_for_script(Role.USER, email)
