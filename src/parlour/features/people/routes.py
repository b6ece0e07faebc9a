"""Coming in, and asking who one is."""

from fastapi import APIRouter

from parlour.features.people.guards import PUBLIC, Caller
from parlour.features.people.schemas import Me, SignedIn, SignIn, Visitor
from parlour.features.people.service import People


def routes(people: People) -> APIRouter:
    """Return the routes about people, served by ``people``."""
    router = APIRouter(prefix="/api", tags=["people"])

    @router.post("/visitors", status_code=201, dependencies=[PUBLIC])
    async def create_visitor() -> Visitor:
        """Make an anonymous identity. Its token goes into `Authorization: Bearer` everywhere."""
        entrance = people.welcome_visitor()
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
    async def read_me(caller: Caller) -> Me:
        """Tell who the request's token speaks for."""
        return Me(
            person_id=caller.person_id,
            role=caller.role,
            display_name=await people.display_name(caller),
        )

    return router
