"""Structured logs: JSON for machines, readable lines for people, on standard error.

One line per event, in UTC, with the request, session and run it belongs to (context variables). What people
write is never logged; what looks like a secret is masked; control characters cannot forge a second line.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Literal

import orjson
import structlog
from structlog.types import EventDict, Processor

from parlour.infra.observability.sink import LogSink

LONGEST_VALUE = 2048
LONGEST_TRACEBACK = 16 * 1024
MASK = "[hidden]"

_SECRET_NAMES = re.compile(
    r"authorization|cookie|password|secret|api_?key|(^|_)token$|access_token|database_url", re.IGNORECASE
)
_SECRET_VALUES = re.compile(
    r"""
      \b(?:(?:sk|pk|rk|xox[abprs]|ghp|gsk)[-_]|AIza)[A-Za-z0-9_\-]{12,}    # keys of providers
    | \beyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*           # JSON web tokens
    | (?<=bearer\ )[^\s'",;]+                                              # authorization headers
    | (?<=sign-in=)[A-Za-z0-9_\-]+                                         # sign-in links
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                                      # passwords in addresses
    """,
    re.IGNORECASE | re.VERBOSE,
)
# An id, a number, a time, or a short word: most values, and nothing that could be a secret.
_PLAIN = re.compile(r"[0-9a-f\-]{0,64}|[0-9TZ:.\-]{0,32}|[a-zA-Z_]{0,11}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MULTILINE = ("exception", "stack")


def configure_logging(*, sink: LogSink, style: Literal["console", "json"], level: str, color: bool) -> None:
    """Send structlog and the standard library's loggers through one set of processors into ``sink``."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        clean,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=color,
            sort_keys=False,
            # The pretty one prints local variables, and what people wrote is in them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        # Not by way of the standard library: that takes three times as long, and each answer logs two lines.
        processors=[*shared, renderer],
        logger_factory=lambda name="parlour": _Lines(sink, name),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,  # loggers made at import time must follow a later configuration
    )
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # The server's own notices of start and stop repeat what the command line says.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _Lines:
    """The end of structlog's way: a rendered event becomes a line, whatever its level."""

    def __init__(self, sink: LogSink, name: str) -> None:
        self._sink = sink
        self.name = name

    def _line(self, text: str) -> None:
        self._sink.write(f"{text}\n")

    debug = info = warning = error = critical = _line


def choose_style(
    wanted: Literal["auto", "console", "json"], *, production: bool
) -> Literal["console", "json"]:
    """Turn ``auto`` into ``console`` for a person at a terminal in development, else ``json``."""
    if wanted != "auto":
        return wanted
    return "console" if sys.stderr.isatty() and not production else "json"


def clean(_logger: object, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Mask secrets, escape control characters and cut long values, at every depth."""
    for name, value in event.items():
        if name in _MULTILINE and isinstance(value, str):
            event[name] = _lines(value)
        elif not name.startswith("_"):  # structlog's own
            event[name] = MASK if _names_a_secret(name) and value else _cleaned(value)
    return event


@lru_cache(500)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _cleaned(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {
                str(key): MASK if _names_a_secret(str(key)) and inner else _cleaned(inner)
                for key, inner in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_cleaned(inner) for inner in value]
        case _:
            return _line(str(value))


def _line(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    masked = _SECRET_VALUES.sub(MASK, text[: LONGEST_VALUE * 2])
    escaped = _CONTROL.sub(_escape, masked)
    return escaped if len(escaped) <= LONGEST_VALUE else f"{escaped[:LONGEST_VALUE]}… (cut)"


def _lines(text: str) -> str:
    shown = text if len(text) <= LONGEST_TRACEBACK else f"… (cut)\n{text[-LONGEST_TRACEBACK:]}"
    return "\n".join(_CONTROL.sub(_escape, _SECRET_VALUES.sub(MASK, line)) for line in shown.split("\n"))


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def _json(event: object, **_options: object) -> str:
    # Lone surrogates can reach a log line in a path or a header; they must not stop it.
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:
        text = repr(event).encode("ascii", "backslashreplace").decode()
        return orjson.dumps(
            {"event": "log line could not be rendered", "line": text[:LONGEST_VALUE]}
        ).decode()
