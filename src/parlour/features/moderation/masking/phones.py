"""Finds telephone numbers in text: international ones, the usual national forms, and what is called a number.

A number without its country looks like a date, a price or an order. So it must have one of the forms in which
people write telephone numbers and nothing else, or stand right after a word such as "call" or "Telefon".
"""

import re
from collections.abc import Iterator
from typing import Final

from parlour.features.moderation.masking.windows import matches

Span = tuple[int, int]

_BREAK = "[ \u00a0.\\-/]"

_INTERNATIONAL = re.compile(
    r"(?<![\w+.,])(?:\+|(?<!\d)(?<!\d[ -])00)[ ]?(?=[1-9(])\(?\d{1,4}\)?"
    rf"(?:{_BREAK}?(?:\(\d{{1,5}}\)|\d{{1,12}})){{1,6}}(?![\d]|[.,]\d)"
)
# ITU-T E.164, the country codes given out; after them at least six and in all at most fifteen digits.
_COUNTRIES: Final = re.compile(
    r"1|7|20|21[12368]|22\d|23\d|24\d|25[0-8]|26[0-9]|27|29[01789]|3[0-469]|35\d|37[0-8]|38[0-35-79]|4[013-9]"
    r"|42[013]|5[1-8]|50\d|59\d|6[0-6]|67[02-9]|68[0-35-9]|69[012]|8[1246]|85[02356]|88[068]|9[0-58]|96[0-8]|97[0-79]"
    r"|99[2-68]"
)

_NATIONAL = tuple(
    re.compile(rf"(?<![\w+.,/-])(?<!\d[ ])(?:{form})(?![\w]|[-./,]\d|[ ]\d)")
    for form in (
        r"(?:1[-. ])?(?:\([2-9]\d{2}\)[ ]?|[2-9]\d{2}[-.])[2-9]\d{2}[-.]\d{4}",  # North America
        r"(?:1[ ])?\([2-9]\d{2}\)[ ][2-9]\d{2}[ ]\d{4}",
        r"0[1-9](?:(?:[ ]\d{2}){4}|(?:\.\d{2}){4}|(?:-\d{2}){4})",  # France
        r"\(0\d{2,5}\)[ ]?\d{3,8}(?:[ -]\d{2,6}){0,2}",  # Germany, Austria, Britain, with brackets
        r"0\d{2,5}[ ]?[/-][ ]?\d{4,9}(?:[ -]\d{1,6}){0,2}",  # with a stroke
        r"0\d{2,4}[ ]\d{3,4}[ ]\d{2,4}(?:[ ]\d{2,4})?",  # in groups
        r"0[1-9]\d{2,4}[ ]\d{6,8}",
        r"0\d{1,3}-\d{3,4}-\d{3,4}",  # Japan, Korea
        r"1[3-9]\d[ -]\d{4}[ -]\d{4}",  # China
        r"\(\d{2}\)[ ]?9?\d{4}-\d{4}",  # Brazil
        r"0[1-9][ ]\d{3}[ ]\d{2}[ ]\d{2}|0[1-9]\d[ ]\d{3}[ ]\d{2}[ ]\d{2}",  # Switzerland, Netherlands
    )
)

_WORDS: Final = (
    "phones?", "telephone", "tel", "mobile", "cell", "call(?:ing)?", "ring", "sms", "text", "whats ?app",
    "fax", "hotline", "dial", "telefon(?:nummer)?", "handy(?:nummer)?",
    "mobil(?:nummer)?", "rufnummer", "anrufen",
    "rückruf", "durchwahl", "téléphone", "portable", "appelez", "appeler", "joindre", "tél", "teléfono",
    "móvil", "celular", "llam(?:ar|e|en|ame|adme)", "telefone", "telemóvel", "ligue", "ligar", "telefono",
    "cellulare", "chiam(?:are|ami|a)", "telefoon", "bel", "mobiel", "telefonu?", "komórka", "numer", "тел",
    "телефону?", "звоните", "мобильный",
)  # fmt: skip
# These are not parted from the words around them.
_UNPARTED: Final = ("电话", "手机", "電話", "手機", "携帯", "전화", "휴대폰", "هاتف", "جوال", "موبايل")
_CALLED = re.compile(
    rf"(?:(?<![^\W\d_])(?:{'|'.join(_WORDS)})(?![^\W\d_])|{'|'.join(_UNPARTED)})"
    r"(?P<between>[^\d\n+(]{0,24})(?P<number>\+?\(?\d(?:[ \u00a0().\-/]{0,2}\d){6,14})"
    r"(?![^\W\u3040-\u9fff\uac00-\ud7af]|[-.,/]\d)",
    re.IGNORECASE,
)
# Said between the word and the figures, they are figures of something else.
_OTHERWISE = re.compile(
    r"order|invoice|ticket|serial|price|cost|imei|model|article|reference|customer|account|bestell|rechnung|auftrag"
    r"|kunden|commande|facture|pedido|factura|fattura|ordine|zamów|заказ|订单|注文",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}")


def phone_spans(text: str) -> Iterator[Span]:
    """Yield where telephone numbers are; spans may overlap, the surer ones come first."""
    for match in matches(_INTERNATIONAL, text):
        if _is_international(match[0]):
            yield match.span()
    for pattern in _NATIONAL:
        yield from (match.span() for match in matches(pattern, text) if 7 <= _digits(match[0]) <= 13)
    for match in matches(_CALLED, text):
        number = match["number"]
        if not _OTHERWISE.search(match["between"]) and not _DATE.match(number) and 7 <= _digits(number) <= 15:
            yield match.span("number")


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_international(written: str) -> bool:
    digits = "".join(filter(str.isdigit, written))
    plus = written.startswith("+")
    if not plus:
        digits = digits[2:]
        # Zeros stand before many numbers. Without a plus it must be parted as people part a telephone number.
        if digits.startswith("1") or not re.search(r"\d[ /-]", written):
            return False
    country = _COUNTRIES.match(digits)
    return country is not None and len(digits) <= 15 and len(digits) - country.end() >= (6 if plus else 7)
