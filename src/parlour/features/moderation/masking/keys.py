"""Finds secrets of machines in text: by the prefixes that their makers gave them, by form, by disorder."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from parlour.features.moderation.masking.windows import matches

Span = tuple[int, int]

_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----"
    r"(?:[A-Za-z0-9+/=:,.\s\\]|-(?!-)){0,8192}+"
    r"(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY-----)?"
)
# Ends before the first words: a header without its footer takes only what looks like a key with it.
_PEM_BODY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}-----(?:\s{0,8}[A-Za-z0-9+/=]{24,}){0,200}")

_JWT = re.compile(r"(?<![\w.-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+", re.ASCII)

# What GitHub, GitLab, OpenAI and others publish about the form of their keys, so that scanners can find them.
_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?=[\w-]{0,60}[0-9])[\w-]{16,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|gl(?:pat|dt|rt)-[\w-]{20,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[\w-]{40,}|hf_[A-Za-z0-9]{30,}|SG\.[\w-]{16,32}\.[\w-]{16,64}"
    r"|dop_v1_[a-f0-9]{64}|shp(?:at|ss|ca|pa)_[a-fA-F0-9]{32}|key-[0-9a-f]{32}|SK[0-9a-f]{32}"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{58}|r8_[A-Za-z0-9]{37}|gsk_[A-Za-z0-9]{40,}"
    r")",
    re.ASCII,
)

_NAMES: Final = (
    "api[ _-]?key", "secret(?:[ _-]?(?:access[ _-]?)?key)?", "(?:(?:access|auth|bearer)[ _-]?)?token",
    "client[ _-]?secret", "passw(?:or)?d", "pwd", "passphrase", "passwort", "kennwort", "mot de passe",
    "contraseña", "senha", "wachtwoord", "пароль", "密码", "密碼", "パスワード",
)  # fmt: skip
_NAMED = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(_NAMES)})[\"'`]?(?: is| ist| est| es)?\s{{0,3}}[:=\uff1a]?\s{{0,3}}"
    r"[\"'`]?([^\s\"'`,;<>()]{8,512})",
    re.IGNORECASE,
)

_UNUSUAL = re.compile(r"\d|[!?]\w|[^\w\s.,;:!?'\"()/-]")
_LUMP = re.compile(r"(?<![A-Za-z0-9+/=_.-])[A-Za-z0-9+_=-]{32,256}(?![A-Za-z0-9+/=_-])", re.ASCII)
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9+/=_.-])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=_-])", re.ASCII)
# Bits in each character: English words run together have about 3.9, random Base64 of 40 characters about 4.7.
_DISORDER: Final = 4.2


def key_spans(text: str) -> Iterator[Span]:
    """Yield where keys, tokens and passwords are; spans may overlap, the surer ones come first."""
    yield from _pem(text)
    if not _UNUSUAL.search(text):
        return  # most sentences: no secret is made of letters and common marks alone
    if "eyJ" in text:
        yield from (match.span() for match in matches(_JWT, text))
    yield from (match.span() for match in matches(_PREFIXED, text))
    for match in matches(_NAMED, text):
        if _is_no_word(match[1]):
            yield match.span(1)
    for pattern in (_LUMP, _AWS_SECRET):
        yield from (match.span() for match in matches(pattern, text) if _is_disorder(match[0]))


def _pem(text: str) -> Iterator[Span]:
    if "-----BEGIN " not in text:
        return
    for match in matches(_PEM, text):
        if match[0].endswith("KEY-----") and match[0].count("KEY-----") > 1:
            yield match.span()
        elif (body := _PEM_BODY.match(text, match.start())) is not None:
            yield body.span()


def _is_no_word(value: str) -> bool:
    """Tell whether this can be a secret: words have letters only, placeholders are all alike."""
    value = value.rstrip(".!?")
    digits, letters = any(map(str.isdigit, value)), any(map(str.isalpha, value))
    marks = any(not character.isalnum() and character not in "-_./:" for character in value)
    return len(value) >= 8 and len(set(value)) > 4 and ((digits and letters) or marks) and "://" not in value


def _is_disorder(lump: str) -> bool:
    """Tell whether nobody would write this: all kinds of characters, in no order."""
    mixed = re.search("[a-z]", lump) and re.search("[A-Z]", lump) and sum(map(str.isdigit, lump)) >= 3
    if not mixed:
        return False  # names in code, and the hexadecimal digests that people quote to each other
    counts = Counter(lump).values()
    return -sum(count / len(lump) * math.log2(count / len(lump)) for count in counts) >= _DISORDER
