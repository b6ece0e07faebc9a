"""Who may call a route. Every route states it: by one of these types, or by :data:`PUBLIC` (S-2).

A bearer token is taken from the ``Authorization`` header only: what stands in an address ends up in logs
(A-080).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request

from parlour.features.people.service import Entrance
from parlour.vocabulary.errors import Forbidden, Unauthenticated
from parlour.vocabulary.principal import Principal, Role

VISITOR_COOKIE: Final = "parlour_visitor"
COOKIE_SECONDS: Final = 365 * 24 * 3600
PERSON_KEY: Final = "parlour.person_id"
HEADERS_KEY: Final = "parlour.response_headers"
_GUARD_MARK: Final = "__parlour_guard__"


class Doorkeeper(Protocol):
    """What the guards ask; ``app.state.doorkeeper`` of the application."""

    def identify(self, token: str) -> Principal:
        """Return who a token speaks for, or raise Unauthenticated."""
        ...

    def welcome_visitor(self) -> Entrance:
        """Let a stranger in."""
        ...


Guard = TypeVar("Guard", bound=Callable[..., Awaitable[Principal | None]])


def _guard(function: Guard) -> Guard:
    setattr(function, _GUARD_MARK, True)
    return function


def states_who_may_call(dependencies: Sequence[Callable[..., Any] | None]) -> bool:
    """Tell whether a guard is among a route's dependencies; a test asks this of every route."""
    return any(getattr(dependency, _GUARD_MARK, False) for dependency in dependencies)


@_guard
async def _public() -> None:
    """Let anybody through."""


PUBLIC: Final = Depends(_public)


@_guard
async def caller(request: Request) -> Principal:
    """Return who is asking, by bearer token."""
    token = _bearer(request)
    if token is None:
        raise Unauthenticated
    return _known(request, _doorkeeper(request).identify(token))


@_guard
async def caller_if_any(request: Request) -> Principal | None:
    """Return who is asking, or None without a token. A token that does not hold is refused all the same."""
    return await caller(request) if "authorization" in request.headers else None


@_guard
async def operator(request: Request) -> Principal:
    """Return who is asking, if they run this server."""
    principal = await caller(request)
    if not principal.role.includes(Role.OPERATOR):
        raise Forbidden
    return principal


@_guard
async def cookie_caller(request: Request) -> Principal:
    """Return who is asking: by bearer token, else the same-origin page's visitor, made on the first call.

    For the aliases only (T-7). The cookie counts for nothing unless the browser or an ``Origin`` header
    proves that the page is one of ours.
    """
    if "authorization" in request.headers:
        return await caller(request)
    if not _same_origin(request):
        raise Unauthenticated
    doorkeeper = _doorkeeper(request)
    cookie = request.cookies.get(VISITOR_COOKIE)
    if cookie:
        try:
            principal = doorkeeper.identify(cookie)
        except Unauthenticated:
            principal = None
        # Cookies are for visitors: a stronger token in one was put there by somebody else.
        if principal is not None and principal.role is Role.VISITOR:
            return _known(request, principal)
    entrance = doorkeeper.welcome_visitor()
    _set_cookie(request, entrance)
    return _known(request, entrance.principal)


Caller = Annotated[Principal, Depends(caller)]
CallerIfAny = Annotated[Principal | None, Depends(caller_if_any)]
OperatorOnly = Annotated[Principal, Depends(operator)]
CookieCaller = Annotated[Principal, Depends(cookie_caller)]


def _doorkeeper(request: Request) -> Doorkeeper:
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    return doorkeeper


def _bearer(request: Request) -> str | None:
    values = request.headers.getlist("authorization")
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _known(request: Request, principal: Principal) -> Principal:
    request.scope[PERSON_KEY] = principal.person_id  # for the access log
    return principal


def _same_origin(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers send no Sec-Fetch headers to plain http:// addresses other than localhost, and no Origin with
    # a GET. A page can leave its Referer out, but cannot forge it.
    page = request.headers.get("origin") or request.headers.get("referer")
    if not page:
        return False
    public_url: str | None = request.app.state.public_url
    ours = urlsplit(public_url).netloc if public_url else request.headers.get("host", "")
    try:
        return bool(ours) and urlsplit(page).netloc.lower() == ours.lower()
    except ValueError:  # not an address at all
        return False


def _set_cookie(request: Request, entrance: Entrance) -> None:
    public_url: str | None = request.app.state.public_url
    parts = [
        f"{VISITOR_COOKIE}={entrance.token.text}",
        "Path=/api",
        f"Max-Age={COOKIE_SECONDS}",
        "HttpOnly",
        "SameSite=Lax",
    ]
    if public_url and public_url.startswith("https://"):
        parts.append("Secure")
    # Not through FastAPI's injected Response: that one is lost when a route returns its own, as streams do.
    headers: list[tuple[bytes, bytes]] = request.scope.setdefault(HEADERS_KEY, [])
    headers.append((b"set-cookie", "; ".join(parts).encode("ascii")))
