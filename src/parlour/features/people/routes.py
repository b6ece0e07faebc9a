"""Coming in, asking who one is, and the keys of programs."""

from fastapi import APIRouter, Request

from parlour.features.people.api_keys import NewKey
from parlour.features.people.guards import PUBLIC, AnyCaller, KeyOwner, address_of
from parlour.features.people.schemas import (
    ApiKeyMade,
    ApiKeys,
    ApiKeyShown,
    Done,
    Me,
    NewApiKey,
    SignedIn,
    SignIn,
    Visitor,
)
from parlour.features.people.service import People
from parlour.features.people.store import ApiKey
from parlour.vocabulary.principal import Scope


def routes(people: People) -> APIRouter:
    """Return the routes about people, served by ``people``."""
    router = APIRouter(prefix="/api", tags=["people"])
    _add_coming_in(router, people)
    _add_api_keys(router, people)
    return router


def _add_coming_in(router: APIRouter, people: People) -> None:
    @router.post("/visitors", status_code=201, dependencies=[PUBLIC])
    async def create_visitor(request: Request) -> Visitor:
        """Make an anonymous identity. Its token goes into `Authorization: Bearer` everywhere."""
        entrance = await people.welcome_visitor(address_of(request))
        return Visitor(
            visitor_id=entrance.principal.person_id,
            token=entrance.token.text,
            expires_at=entrance.token.expires_at,
        )

    @router.post("/sign-in", dependencies=[PUBLIC])
    async def sign_in(body: SignIn) -> SignedIn:
        """Exchange the token of a one-time sign-in link for a bearer token."""
        entrance = await people.sign_in(body.token)
        return SignedIn(
            token=entrance.token.text,
            expires_at=entrance.token.expires_at,
            person_id=entrance.principal.person_id,
            role=entrance.principal.role,
        )

    @router.get("/me")
    async def read_me(caller: AnyCaller) -> Me:
        """Tell who the request's token speaks for."""
        return Me(
            person_id=caller.person_id,
            role=caller.role,
            display_name=await people.display_name(caller),
        )


def _add_api_keys(router: APIRouter, people: People) -> None:
    @router.post("/keys", status_code=201)
    async def make_key(caller: KeyOwner, body: NewApiKey) -> ApiKeyMade:
        """Make an API key that may do a part of what you may. It goes into `Authorization: Bearer`."""
        made = await people.api_keys.make(
            caller, NewKey(body.name, frozenset(body.scopes), body.expires_at, body.plan)
        )
        return ApiKeyMade(**_shown(made.key).model_dump(), key=made.text)

    @router.get("/keys")
    async def list_keys(caller: KeyOwner) -> ApiKeys:
        """List your API keys, newest first; the keys themselves are not kept."""
        return ApiKeys(items=[_shown(key) for key in await people.api_keys.listed(caller)])

    @router.delete("/keys/{key_id}")
    async def revoke_key(caller: KeyOwner, key_id: str) -> Done:
        """Revoke one of your API keys, within 5 s everywhere."""
        await people.api_keys.revoke(caller, key_id)
        return Done()


def _shown(key: ApiKey) -> ApiKeyShown:
    return ApiKeyShown(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        scopes=[scope for scope in Scope if scope in key.scopes],
        plan=key.plan,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )
