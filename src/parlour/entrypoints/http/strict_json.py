"""What JSON we take: UTF-8, every name once, numbers that every client can hold, text that can be stored.

Python's parser alone would let duplicate names pass (last wins), NaN, integers of any length, NUL and lone
surrogates; each of these means different things to different readers, or breaks a database (D1, D2, D15).
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from parlour.entrypoints.http.problems import InvalidJson
from parlour.vocabulary.errors import FieldError, InvalidInput

DEEPEST: Final = 64
LARGEST_INTEGER: Final = 2**63 - 1
_LONGEST_NUMBER: Final = 400  # characters; a double needs fewer than 330
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def check_json(body: bytes) -> None:
    """Raise InvalidJson or InvalidInput unless ``body`` is JSON that we take."""
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError):
        raise InvalidJson from None
    # Both are rare, so that a usual message is looked at only once.
    if text.count("{") + text.count("[") > DEEPEST or "\\u" in text:
        _check_tree(value)


def _check_tree(value: object) -> None:
    waiting: list[tuple[str, int, object]] = [("", 0, value)]
    while waiting:
        path, depth, item = waiting.pop()
        if depth > DEEPEST:
            _refuse(path, f"This is nested more than {DEEPEST} levels deep.", "too_deep")
        if isinstance(item, str):
            _check_text(path, item)
        elif isinstance(item, dict | list):
            waiting.extend((inner, depth + 1, value) for inner, value in _children(path, item))


def _children(path: str, item: dict[str, object] | list[object]) -> Iterator[tuple[str, object]]:
    prefix = f"{path}." if path else ""
    if isinstance(item, list):
        yield from ((f"{prefix}{index}", value) for index, value in enumerate(item))
        return
    for name, value in item.items():
        _check_text(path, name)
        yield f"{prefix}{name}", value


def _check_text(path: str, text: str) -> None:
    if _UNSTORABLE.search(text):
        _refuse(path, "Text must not contain NUL or half of a surrogate pair.", "invalid_text")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        _refuse("" if _UNSTORABLE.search(twice) else twice, "This field is given twice.", "duplicate")
    return result


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER or abs(number := int(digits)) > LARGEST_INTEGER:
        _refuse("", "The body contains a whole number beyond 64 bits.", "number")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        _refuse("", "The body contains a number that is too large.", "number")
    return number


def _constant(_name: str) -> NoReturn:
    raise InvalidJson  # NaN and Infinity are not JSON


def _refuse(path: str, message: str, code: str) -> NoReturn:
    raise InvalidInput(FieldError(path[:200] or "body", message, code))
