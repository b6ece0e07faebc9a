"""Finds personal data and secrets in text: by form, then by checksum, length and neighbourhood.

It knows no names and no places, for that takes a language model. It would rather leave a doubtful number
alone than hide an order number. Every pattern here begins only where its run of characters begins and is
bounded, so that the time grows with the length of the text whatever it says.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final

from parlour.features.moderation.masking.keys import key_spans
from parlour.features.moderation.masking.phones import phone_spans
from parlour.features.moderation.masking.windows import matches

Span = tuple[int, int]


class Kind(StrEnum):
    """What can be masked. The value is the word in its placeholder."""

    EMAIL = "e-mail"
    CARD = "card"
    IBAN = "IBAN"
    PHONE = "phone"
    IP = "IP"
    KEY = "key"


ALL_KINDS: Final = frozenset(Kind)


def kinds_named(names: Iterable[str]) -> frozenset[Kind]:
    """Return the kinds with these names, which are their words in any case."""
    known = {kind.value.lower(): kind for kind in Kind}
    return frozenset(known[name.lower()] for name in names)


# Letters of scripts that write on without a space would join an address to the words around it.
_LETTER = r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7af\uf900-\ufaff]"
_EMAIL = re.compile(
    rf"(?<!{_LETTER})(?<![.%+'-])(?:{_LETTER}|[.%+'-]){{1,256}}+@"
    rf"(?:{_LETTER}(?:(?:{_LETTER}|-){{0,61}}{_LETTER})?\.){{1,8}}(?:(?![\d_]){_LETTER}){{2,24}}(?!{_LETTER})"
)

_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ \u00a0.-]?[A-Za-z0-9])")
_IBAN_BETWEEN = " \u00a0.-"
# SWIFT's IBAN registry, release 101: the whole length by country.
_IBAN_LENGTHS: Final = {
    country: int(length)
    for length, countries in (
        line.split(": ")
        for line in (
            "15: NO",
            "16: BE",
            "18: DK FI FK FO GL NL SD",
            "19: MK SI",
            "20: AT BA EE KZ LT LU MN XK",
            "21: CH HR LI LV",
            "22: BG BH CR DE GB GE IE ME RS VA",
            "23: AE GI IL IQ OM SO TL",
            "24: AD CZ ES MD PK RO SA SE SK TN VG",
            "25: LY PT ST",
            "26: IS TR",
            "27: BI DJ FR GR IT MC MR SM",
            "28: AL AZ BY CY DO GT HN HU LB NI PL SV",
            "29: BR EG PS QA UA",
            "30: JO KW MU YE",
            "31: MT SC",
            "32: LC",
            "33: RU",
        )
    )
    for country in countries.split()
}

# Written in one piece, in fours, or as American Express and Diners Club print them.
_CARD = re.compile(
    r"(?<![\w.,-])(?:[0-9]{13,19}"
    r"|[0-9]{4}(?P<a>[ -])[0-9]{4}(?P=a)[0-9]{4}(?P=a)[0-9]{1,4}(?:(?P=a)[0-9]{3})?"
    r"|3[0-9]{3}(?P<b>[ -])[0-9]{6}(?P=b)[0-9]{4,5})(?![\w-]|[.,][0-9])",
    re.ASCII,
)
# Issuers' ranges (ISO/IEC 7812), with the lengths that they give out.
_ISSUERS: Final = (
    (re.compile("4"), (13, 16, 19)),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("30[0-5]|3[689]"), (14, 16, 19)),
    (re.compile("6011|64[4-9]|65|62|81|35[2-8]|60|50|5[68]|6[37]|220[0-4]|9792"), (16, 17, 18, 19)),
)

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w-]|\.[0-9])", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{2,38}(?:[0-9.]{7,15})?(?![\w])", re.ASCII)
_NO_ADDRESS_AFTER = re.compile(
    r"(?:\bv|version|versi[oó]n|versão|versione|versie|release|build|版本|バージョン"
    r"|chapter|section|kapitel|abschnitt|chapitre|cap[ií]tulo|§)[ :.]{0,2}\Z",
    re.IGNORECASE,
)


def _emails(text: str) -> Iterator[Span]:
    if "@" in text:
        for match in matches(_EMAIL, text):
            # Dots and quotes around an address are the sentence's.
            start = match.start() + len(match[0]) - len(match[0].lstrip(".'-"))
            if text[start] != "@":
                yield start, match.end()


def _ibans(text: str) -> Iterator[Span]:
    done = 0
    for match in matches(_IBAN_START, text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None or match.start() < done:
            continue
        end = _after(text, match.start(), length)
        if end is not None and _mod_97(_bare(text[match.start() : end])):
            done = end
            yield match.start(), end


def _after(text: str, start: int, count: int) -> int | None:
    """Return where ``count`` letters and digits end, single separators between them; None if they don't."""
    position, parted = start, False
    while count:
        character = text[position : position + 1]
        if character.isascii() and character.isalnum():
            count, parted = count - 1, False
        elif character and character in _IBAN_BETWEEN and not parted:
            parted = True
        else:
            return None
        position += 1
    following = text[position : position + 1]
    return None if following.isalnum() else position


def _bare(text: str) -> str:
    return "".join(character for character in text if character.isalnum()).upper()


def _mod_97(iban: str) -> bool:
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _cards(text: str) -> Iterator[Span]:
    for match in matches(_CARD, text):
        digits = _bare(match[0])
        if any(issuer.match(digits) and len(digits) in lengths for issuer, lengths in _ISSUERS) and _luhn(
            digits
        ):
            yield match.span()


def _luhn(digits: str) -> bool:
    doubled = (2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    # Issuers give out no card of one digit repeated; people type it into examples.
    return len(set(digits)) > 1 and sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def _addresses(text: str) -> Iterator[Span]:
    if "." in text:
        for match in matches(_IPV4, text):
            counted = _NO_ADDRESS_AFTER.search(text[max(0, match.start() - 12) : match.start()])
            if counted is None and _tells_somebody(match[0]):
                yield match.span()
    if ":" in text:
        for match in matches(_IPV6, text):
            written = match[0].rstrip(".")
            if written.endswith(":") and not written.endswith("::"):
                written = written[:-1]
            # Code is full of "::"; an address has more to it than two short names.
            if sum(map(str.isdigit, written)) and written.count(":") > 1 and _tells_somebody(written):
                yield match.start(), match.start() + len(written)


def _tells_somebody(written: str) -> bool:
    """Tell whether this is an address of some machine, and not "this one", "any" or a netmask."""
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    mask = address.version == 4 and written.startswith("255.")
    return not (address.is_loopback or address.is_unspecified or mask)


_DIGIT = re.compile(r"\d")
_FIGURES: Final = frozenset({Kind.IBAN, Kind.CARD, Kind.IP, Kind.PHONE})  # none is without a digit

# In this order: what a former one found, a later one leaves alone.
_FINDERS: Final[tuple[tuple[Kind, Callable[[str], Iterator[Span]]], ...]] = (
    (Kind.KEY, key_spans),
    (Kind.EMAIL, _emails),
    (Kind.IBAN, _ibans),
    (Kind.CARD, _cards),
    (Kind.IP, _addresses),
    (Kind.PHONE, phone_spans),
)


def find(text: str, kinds: frozenset[Kind] = ALL_KINDS) -> list[tuple[int, int, Kind]]:
    """Return where values of ``kinds`` are: start, end and kind, in order, none overlapping another."""
    taken = bytearray(len(text))
    found = []
    figures = _DIGIT.search(text) is not None
    for kind, finder in _FINDERS:
        if kind not in kinds or (kind in _FIGURES and not figures):
            continue
        for start, end in finder(text):
            if start < end and not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append((start, end, kind))
    return sorted(found)
