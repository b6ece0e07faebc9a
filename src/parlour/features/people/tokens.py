"""Bearer tokens: signed by us for our own people, or by a system that shares a secret with us.

Only HS256, always with an end. Our own tokens carry a role; what a foreign token claims beyond its subject
is ignored, so a system that can name its users cannot make one of them an operator.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from parlour.vocabulary.errors import Unauthenticated
from parlour.vocabulary.ids import is_id
from parlour.vocabulary.principal import Principal, Role

ISSUER: Final = "parlour"
ALGORITHM: Final = "HS256"
LEEWAY: Final = 60  # seconds that clocks may differ
LONGEST: Final = 8 * 1024  # characters; more is refused before anything is decoded
LONGEST_PLAN: Final = 64
LONGEST_SUBJECT: Final = 255
REMEMBERED: Final = 2048  # verified tokens: our own have 300 characters, the longest ones 8,000
LIFETIMES: Final[Mapping[Role, timedelta]] = {
    Role.VISITOR: timedelta(days=365),  # a visitor's history must survive until they come back
    Role.USER: timedelta(days=30),
    Role.EDITOR: timedelta(days=30),
    Role.OPERATOR: timedelta(days=30),
    Role.OWNER: timedelta(days=30),
}
_LAST_MOMENT: Final = 253_402_300_800  # the year 10000
_SIGNATURES: Final = jwt.PyJWS()
_FOREIGN_PEOPLE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://parlour.invalid/people/by-foreign-subject")


@dataclass(frozen=True, slots=True)
class Token:
    """A signed token and the moment at which it stops to hold."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Known:
    """A token whose signature was found good, which it stays; its times are looked at every time."""

    principal: Principal
    claims: Mapping[str, Any]


class Tokens:
    """Signs and reads tokens."""

    def __init__(
        self, *, secret: bytes, foreign_secret: bytes | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Sign with ``secret``; also accept tokens signed with ``foreign_secret``. ``clock`` is UNIX time."""
        self._secret = secret
        # HMAC fills keys up with zeros itself. Done here, a short one (refused in production, told by
        # `parlour doctor` in development) does not warn on every request.
        self._foreign_secret = foreign_secret and foreign_secret.ljust(32, b"\0")
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def issue(self, principal: Principal) -> Token:
        """Return a token for this person in this role."""
        now = int(self._clock())
        end = now + int(LIFETIMES[principal.role].total_seconds())
        claims = {
            "iss": ISSUER,
            "sub": principal.person_id,
            "role": principal.role.value,
            "iat": now,
            "exp": end,
        }
        text = jwt.encode(claims, self._secret, algorithm=ALGORITHM)
        return Token(text, datetime.fromtimestamp(end, UTC))

    def read(self, text: str) -> Principal:
        """Return who a token speaks for, or raise Unauthenticated without saying why it does not hold."""
        if len(text) > LONGEST or not text.isascii():
            raise Unauthenticated
        known = self._known.get(text)
        if known is None:
            known = self._verify(text)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = known
        self._check_times(known.claims)
        return known.principal

    def _verify(self, text: str) -> "_Known":
        claims = _verified(text, self._secret)
        if claims is not None:
            self._check_times(claims)
            return _Known(_own(claims), claims)
        if self._foreign_secret is not None:
            claims = _verified(text, self._foreign_secret)
            if claims is not None:
                self._check_times(claims)
                return _Known(_foreign(claims), claims)
        raise Unauthenticated

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if "exp" not in claims or _moment(claims, "exp") <= now - LEEWAY:
            raise Unauthenticated
        for name in ("nbf", "iat"):
            if name in claims and _moment(claims, name) > now + LEEWAY:
                raise Unauthenticated


def _verified(text: str, secret: bytes) -> dict[str, Any] | None:
    """Return the claims of a token signed with ``secret``, or None; times are not looked at."""
    try:
        header = jwt.get_unverified_header(text)
        # `crit` and `b64` change how a token must be read; whoever does not know them must refuse.
        if header.get("alg") != ALGORITHM or "crit" in header or "b64" in header:
            return None
        claims = json.loads(_SIGNATURES.decode(text, secret, algorithms=[ALGORITHM]))
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated
    if not -_LAST_MOMENT < value < _LAST_MOMENT:  # also false for NaN
        raise Unauthenticated
    return value


def _own(claims: Mapping[str, Any]) -> Principal:
    subject, role = claims.get("sub"), claims.get("role")
    if claims.get("iss") != ISSUER or not isinstance(subject, str) or not is_id(subject):
        raise Unauthenticated
    if not isinstance(role, str) or role not in set(Role):
        raise Unauthenticated
    return Principal(subject, Role(role))


def _foreign(claims: Mapping[str, Any]) -> Principal:
    subject = claims.get("sub", claims.get("userId"))
    if isinstance(subject, int) and not isinstance(subject, bool):
        subject = str(subject)
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise Unauthenticated
    try:
        # Ids of a space of their own: a subject that looks like one of our ids is still somebody else.
        return Principal(str(uuid.uuid5(_FOREIGN_PEOPLE, subject)), Role.USER, plan=_plan(claims))
    except UnicodeEncodeError:
        raise Unauthenticated from None


def _plan(claims: Mapping[str, Any]) -> str | None:
    """Return the plan that the other system gives its user."""
    plan = claims.get("plan")
    return plan if isinstance(plan, str) and 0 < len(plan) <= LONGEST_PLAN else None
