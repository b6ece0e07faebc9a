"""Who may call a route. Every route states it: by one of these types, or by :data:`PUBLIC` (S-2).

Each type also says what an API key needs for it: a scope, nothing, or that no key will do (S-1).

A bearer token is taken from the ``Authorization`` header only: what stands in an address ends up in logs
(A-080), and a second place to put a key would be a second place to forget its scopes (A-012).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Annotated, Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request

from parlour.features.people.service import Entrance
from parlour.infra.web.addresses import Proxies
from parlour.infra.web.sse import STILL_KEY
from parlour.vocabulary.errors import Forbidden, Unauthenticated, Unavailable
from parlour.vocabulary.principal import Principal, Role, Scope

VISITOR_COOKIE: Final = "parlour_visitor"
COOKIE_SECONDS: Final = 365 * 24 * 3600
PERSON_KEY: Final = "parlour.person_id"
HEADERS_KEY: Final = "parlour.response_headers"
_GUARD_MARK: Final = "__parlour_guard__"


class KeyUse(Enum):
    """What a route that asks for no scope makes of API keys."""

    ANY = "any"
    NONE = "none"


Need = Scope | KeyUse


class Doorkeeper(Protocol):
    """What the guards ask; ``app.state.doorkeeper`` of the application."""

    async def identify(self, token: str) -> Principal:
        """Return who a token or an API key speaks for, or raise Unauthenticated."""
        ...

    async def welcome_visitor(self, address: str) -> Entrance:
        """Let a stranger in who comes from ``address``, or raise TooMany."""
        ...


Guard = TypeVar("Guard", bound=Callable[..., Awaitable[Principal | None]])


def _guard(need: Need) -> Callable[[Guard], Guard]:
    def mark(function: Guard) -> Guard:
        setattr(function, _GUARD_MARK, need)
        return function

    return mark


def needs_of(dependencies: Sequence[Callable[..., Any] | None]) -> list[Need]:
    """Return what a route's guards ask of an API key, in their order; empty when there is no guard.

    A test asks this of every route.
    """
    marks = (getattr(dependency, _GUARD_MARK, None) for dependency in dependencies)
    return [mark for mark in marks if mark is not None]


@_guard(KeyUse.ANY)
async def _public() -> None:
    """Let anybody through."""


PUBLIC: Final = Depends(_public)


def _caller(need: Need) -> Callable[[Request], Awaitable[Principal]]:
    """Return a guard that tells who is asking, by bearer token, and refuses keys that lack what is needed."""

    @_guard(need)
    async def caller(request: Request) -> Principal:
        return _allowed(await _identified(request), need)

    return caller


any_caller: Final = _caller(KeyUse.ANY)


@_guard(KeyUse.ANY)
async def caller_if_any(request: Request) -> Principal | None:
    """Return who is asking, or None without a token. A token that does not hold is refused all the same."""
    return await any_caller(request) if "authorization" in request.headers else None


def _at_least(role: Role, need: Need) -> Callable[[Request], Awaitable[Principal]]:
    """Return a guard that lets through who has this role, or one above it."""

    @_guard(need)
    async def caller(request: Request) -> Principal:
        principal = _allowed(await _identified(request), need)
        if not principal.role.includes(role):
            raise Forbidden
        return principal

    return caller


operator: Final = _at_least(Role.OPERATOR, Scope.ADMIN)


def _cookie_caller(need: Need) -> Callable[[Request], Awaitable[Principal]]:
    @_guard(need)
    async def caller(request: Request) -> Principal:
        return _allowed(await _token_or_cookie(request), need)

    return caller


Caller = Annotated[Principal, Depends(_caller(Scope.CHAT))]
"""Anybody; a key needs ``chat``."""
Reader = Annotated[Principal, Depends(_caller(Scope.READ))]
"""Anybody, to read what is theirs; a key needs ``read``."""
AnyCaller = Annotated[Principal, Depends(any_caller)]
"""Anybody, with any key."""
CallerIfAny = Annotated[Principal | None, Depends(caller_if_any)]
Embedder = Annotated[Principal, Depends(_at_least(Role.USER, Scope.EMBEDDINGS))]
KeyOwner = Annotated[Principal, Depends(_at_least(Role.USER, KeyUse.NONE))]
"""Users and up, themselves: a key that leaked must not make others."""
OperatorOnly = Annotated[Principal, Depends(operator)]
CookieCaller = Annotated[Principal, Depends(_cookie_caller(Scope.CHAT))]
CookieReader = Annotated[Principal, Depends(_cookie_caller(Scope.READ))]


async def _identified(request: Request) -> Principal:
    token = _bearer(request)
    if token is None:
        raise Unauthenticated
    principal = await _doorkeeper(request).identify(token)
    if principal.key_id is not None:
        request.scope[STILL_KEY] = partial(_still, _doorkeeper(request), token)
    return _known(request, principal)


async def _still(doorkeeper: Doorkeeper, token: str) -> bool:
    """Tell whether an API key holds that held when its stream began; as long as nobody can tell, it does."""
    try:
        await doorkeeper.identify(token)
    except Unauthenticated:
        return False
    except Unavailable:
        pass
    return True


def _allowed(principal: Principal, need: Need) -> Principal:
    if principal.key_id is None or need is KeyUse.ANY:
        return principal
    if need is KeyUse.NONE:
        raise Forbidden("No API key may do this. Sign in, or use the command line on the server.")
    if isinstance(need, Scope) and not principal.may(need):
        raise Forbidden(f"This API key lacks the scope {need.value}.")
    return principal


async def _token_or_cookie(request: Request) -> Principal:
    """Return who is asking: by bearer token, else the same-origin page's visitor, made on the first call.

    For the aliases only (T-7). The cookie counts for nothing unless the browser or an ``Origin`` header
    proves that the page is one of ours.
    """
    if "authorization" in request.headers:
        return await _identified(request)
    if not _same_origin(request):
        raise Unauthenticated
    doorkeeper = _doorkeeper(request)
    cookie = request.cookies.get(VISITOR_COOKIE)
    if cookie:
        try:
            principal = await doorkeeper.identify(cookie)
        except Unauthenticated:
            principal = None
        # Cookies are for visitors: a stronger token in one was put there by somebody else.
        if principal is not None and principal.role is Role.VISITOR and principal.key_id is None:
            return _known(request, principal)
    entrance = await doorkeeper.welcome_visitor(address_of(request))
    _set_cookie(request, entrance)
    return _known(request, entrance.principal)


def address_of(request: Request) -> str:
    """Return where a request comes from, by what our own proxies say; empty when nobody knows."""
    proxies: Proxies = request.app.state.proxies
    peer = request.client.host if request.client is not None else ""
    return proxies.client(peer, request.headers.getlist("x-forwarded-for"))


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
    return replace(principal, address=address_of(request))


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
