"""Tokens that must not hold, and those that must."""

import base64
import hashlib
import hmac
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest

from parlour.features.people.tokens import LIFETIMES, Tokens
from parlour.vocabulary.errors import Unauthenticated
from parlour.vocabulary.ids import new_id
from parlour.vocabulary.principal import Principal, Role
from tests.people.conftest import FOREIGN, NOW, SECRET, Clock

SECONDS = int(NOW.timestamp())


def encode(part: bytes | dict[str, Any]) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(
    claims: bytes | dict[str, Any], *, secret: bytes = SECRET, header: dict[str, Any] | None = None
) -> str:
    """A token as an attacker would make it, with any header, signed by HMAC-SHA-256 whatever that says."""
    start = f"{encode(header or {'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims)}"
    return f"{start}.{encode(hmac.new(secret, start.encode(), hashlib.sha256).digest())}"


def own(**changes: object) -> dict[str, Any]:
    """Our own claims; a change to None leaves a claim out."""
    usual = {"iss": "parlour", "sub": new_id(), "role": "owner", "iat": SECONDS, "exp": SECONDS + 600}
    claims = usual | changes
    return {name: value for name, value in claims.items() if value is not None}


def refused(tokens: Tokens, text: str) -> bool:
    with pytest.raises(Unauthenticated):
        tokens.read(text)
    return True


@pytest.mark.parametrize("role", Role)
def test_what_is_issued_is_read_back(tokens: Tokens, role: Role) -> None:
    principal = Principal(new_id(), role)
    token = tokens.issue(principal)
    assert tokens.read(token.text) == principal
    assert token.expires_at == NOW + LIFETIMES[role]


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "NONE", ""])
def test_a_token_without_signature_does_not_hold(tokens: Tokens, algorithm: str) -> None:
    """A-001."""
    for signature in ("", encode(b"x")):
        assert refused(tokens, f"{encode({'alg': algorithm})}.{encode(own())}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS256", "ES256", "hs256", 1, None])
def test_only_one_algorithm_holds_whatever_signed(tokens: Tokens, algorithm: object) -> None:
    """A-002."""
    assert refused(tokens, forge(own(), header={"alg": algorithm}))


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"crit": ["unknown"]},
        {"b64": False},
        {"crit": ["b64"], "b64": False},
    ],
)
def test_headers_that_change_how_to_read_do_not_hold(tokens: Tokens, extra: dict[str, Any]) -> None:
    """A-004."""
    assert refused(tokens, forge(own(), header={"alg": "HS256"} | extra))


@pytest.mark.parametrize("kid", ["../../dev/null", "' UNION SELECT 'x", "k" * 5000])
def test_the_key_id_chooses_nothing(tokens: Tokens, kid: str) -> None:
    """A-005."""
    for secret in (b"", b"\0"):
        assert refused(tokens, forge(own(), secret=secret, header={"alg": "HS256", "kid": kid}))


@pytest.mark.parametrize("secret", ["secret", "changeme", "dev", "parlour", ""])
def test_known_secrets_sign_nothing(tokens: Tokens, secret: str) -> None:
    """A-006."""
    assert refused(tokens, forge(own(), secret=secret.encode()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "x" * 9000,
        f"{'A' * 1_000_000}.e30.x",
        "a.b.c.d.e",
        "é.é.é",
        "' OR '1'='1",
        "x'; SELECT pg_sleep(5)--",
        "x\0",
    ],
)
def test_what_is_no_token_does_not_hold(tokens: Tokens, text: str) -> None:
    """A-008, A-014."""
    assert refused(tokens, text)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": SECONDS - 61},
        {"exp": None},
        {"exp": str(SECONDS + 600)},
        {"exp": True},
        {"exp": [SECONDS + 600]},
        {"exp": 10**400},
        {"nbf": SECONDS + 61},
        {"iat": SECONDS + 86_400},
        {"iat": "yesterday"},
    ],
)
def test_times_must_be_numbers_and_hold(tokens: Tokens, changes: dict[str, Any]) -> None:
    """A-009."""
    assert refused(tokens, forge(own(**changes)))


@pytest.mark.parametrize("value", [b"1e400", b"NaN", b"-1e400", b"null", b'"1e400"'])
def test_an_end_that_is_no_moment_does_not_hold(tokens: Tokens, value: bytes) -> None:
    """A-009."""
    claims = json.dumps(own(exp=None)).encode()[:-1] + b', "exp": ' + value + b"}"
    assert refused(tokens, forge(claims))


def test_clocks_may_differ_by_a_minute(tokens: Tokens) -> None:
    """P-25."""
    tokens.read(forge(own(exp=SECONDS - 59)))
    tokens.read(forge(own(nbf=SECONDS + 59, iat=SECONDS + 59)))


def test_a_token_ends(tokens: Tokens, clock: Clock) -> None:
    text = tokens.issue(Principal(new_id(), Role.USER)).text
    clock.advance(LIFETIMES[Role.USER] + timedelta(seconds=61))
    assert refused(tokens, text)


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sub": 1},
        {"sub": "not-an-id"},
        {"role": None},
        {"role": "root"},
        {"role": ["owner"]},
        {"role": {}},
        {"iss": None},
        {"iss": "someone"},
    ],
)
def test_our_own_tokens_must_be_whole(tokens: Tokens, changes: dict[str, Any]) -> None:
    assert refused(tokens, forge(own(**changes)))


@pytest.mark.parametrize("payload", [b"[]", b"1", b'"x"', b"null", b"{", b"[" * 5000, b"\xff"])
def test_a_payload_that_is_no_object_does_not_hold(tokens: Tokens, payload: bytes) -> None:
    assert refused(tokens, forge(payload))


@pytest.mark.parametrize("claim", [{"sub": "user-1"}, {"userId": "user-1"}])
def test_a_foreign_subject_is_the_same_user_each_time(tokens: Tokens, claim: dict[str, Any]) -> None:
    """S-1: `sub`, or `userId`."""
    principal = tokens.read(forge({"exp": SECONDS + 60, **claim}, secret=FOREIGN))
    assert principal == tokens.read(forge({"exp": SECONDS + 99, "sub": "user-1"}, secret=FOREIGN))
    assert principal.role is Role.USER
    assert uuid.UUID(principal.person_id).version == 5


def test_a_foreign_system_makes_users_only_whatever_it_claims(tokens: Tokens) -> None:
    claims = own(role="owner")
    principal = tokens.read(forge(claims, secret=FOREIGN))
    assert principal.role is Role.USER
    assert principal.person_id != claims["sub"]


@pytest.mark.parametrize("subject", ["", "x" * 256, None, 1.5, True, ["a"], {}])
def test_a_foreign_token_must_name_somebody(tokens: Tokens, subject: object) -> None:
    assert refused(tokens, forge({"exp": SECONDS + 60, "sub": subject}, secret=FOREIGN))


def test_half_a_surrogate_pair_names_nobody(tokens: Tokens) -> None:
    assert refused(tokens, forge(b'{"exp": %d, "sub": "\\ud800"}' % (SECONDS + 60), secret=FOREIGN))


def test_a_foreign_number_names_the_same_user_as_its_digits(tokens: Tokens) -> None:
    number, digits = ({"exp": SECONDS + 60, "userId": user} for user in (42, "42"))
    assert tokens.read(forge(number, secret=FOREIGN)) == tokens.read(forge(digits, secret=FOREIGN))


def test_a_short_shared_secret_works_outside_production() -> None:
    """Warnings are errors here: a short one must not warn on every request either."""
    tokens = Tokens(secret=SECRET, foreign_secret=b"short", clock=lambda: SECONDS)
    assert tokens.read(forge({"exp": SECONDS + 60, "sub": "a"}, secret=b"short")).role is Role.USER


def test_without_a_shared_secret_no_foreign_token_holds() -> None:
    tokens = Tokens(secret=SECRET, clock=lambda: SECONDS)
    for secret in (FOREIGN, b"", b"\0"):
        assert refused(tokens, forge({"exp": SECONDS + 60, "sub": "a"}, secret=secret))
