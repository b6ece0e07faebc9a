"""How a fake provider is told to behave: ``ttft=0.5;n=200;dt=0.01;rst@37``, read from words.

The words come from the model's name after a colon (``fake:n=50``) or from the newest user message between
double square brackets (``[[n=50;dt=0.02]]``); the message wins. Positions after ``@`` count pieces of the
whole answer, so that an answer which is continued after a fault at piece 37 does not meet it again.
"""

import base64
import math
import re
from dataclasses import dataclass, field, fields

_DIRECTIVES = re.compile(r"\[\[([^\[\]]*)\]\]")


@dataclass(frozen=True, slots=True)
class Script:
    """What one answer does. Times are seconds."""

    hold: float = 0.0
    """Wait before the headers."""
    ttft: float = 0.0
    """Wait after the headers, before the first piece."""
    n: int = 20
    """Pieces (a word with its space) in the default answer."""
    dt: float = 0.0
    """Time between two pieces; 0 writes them as fast as the reader takes them."""
    text: str | None = None
    """The answer, instead of the default one; base64 in the script."""
    fault: str = ""
    """``eof``, ``rst``, ``stall``, ``badjson`` or ``badutf8``."""
    at: int = 0
    """Before which piece the fault happens."""
    pause: float = math.inf
    """How long a stall lasts (``stall@5:0.3``); without it, until the reader goes away."""
    status: int = 200
    ra: str = ""
    """A Retry-After header: seconds, or a date in base64."""
    code: str = ""
    """``code`` and ``type`` of the error object, such as ``insufficient_quota``."""
    param: str = ""
    """Refuse the request (400) while it carries this parameter."""
    message: str = ""
    """Message of the error object; base64 in the script."""
    times: int = 0
    """Misbehave only for the first so many requests with the same question; 0: always."""
    event: str = ""
    """``error``: an error object in the stream, after HTTP 200 and ``at`` pieces."""
    finish: str = "stop"
    usage: str = ""
    """``none``, ``neg``, ``absurd`` or ``text``."""
    shape: frozenset[str] = field(default_factory=frozenset)
    """Odd but (mostly) legal wire shapes: see :data:`tests.fakes.chat_wire.SHAPES`."""
    hostile: str = ""
    """``nul``, ``surrogate``, ``pair``, ``breakout`` or ``big``."""
    split: bool = False
    """One byte a write."""
    dup: bool = False
    """Send the ends of the stream (finish, usage) twice."""
    nofinish: bool = False
    nodone: bool = False
    after: str = ""
    """What happens after the finish reason, in place of the rest: ``stall``, ``rst`` or ``eof``; or ``late``:
    the response ends a while after [DONE]."""
    empty: bool = False
    flood: bool = False
    """10 MB as fast as the reader takes it."""
    thoughts: int = 0
    """So many pieces of reasoning, ``dt`` apart, before the answer (as some servers stream them)."""
    whole: bool = False
    """Answer in one JSON document although a stream was asked for."""
    html: bool = False
    """Answer with a web page."""
    moved: str = ""
    """Redirect to this address; base64 in the script."""
    echo: bool = False
    """Answer with the whole prompt as JSON."""

    @property
    def healthy(self) -> "Script":
        """The same answer without any misbehaviour."""
        return Script(n=self.n, dt=self.dt, text=self.text)


_TYPES = {each.name: each.type for each in fields(Script)}
_BASE64 = {"text", "message", "moved"}
_FAULTS = {"eof", "rst", "stall", "badjson", "badutf8"}


def parse(words: str) -> dict[str, object]:
    """Read ``a=1;b;rst@3``. An unknown word is an error: a test must not pass because of a typing slip."""
    found: dict[str, object] = {}
    for word in filter(None, (each.strip() for each in words.split(";"))):
        name, has_value, value = word.partition("=")
        if name == "fault":
            name, has_value, value = value, "", ""
        name, _, place = name.partition("@")
        if name in _FAULTS:
            place, _, pause = place.partition(":")
            found |= {"fault": name, "at": int(place or 0), "pause": _seconds(pause or "inf")}
        elif name == "event":
            kind, _, place = value.partition("@")
            kind, _, code = kind.partition(":")
            found |= {"event": kind, "at": int(place or 0), **({"code": code} if code else {})}
        elif name in _TYPES:
            found[name] = _value(name, value if has_value else "1")
        else:
            raise ValueError(f"the fake provider knows no word {word!r}")
    return found


def _value(name: str, value: str) -> object:
    if name in _BASE64:
        return base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True).decode()
    if name == "shape":
        return frozenset(value.split(","))
    kind = _TYPES[name]
    if kind is bool:
        return value == "1"
    if kind is int:
        return int(value)
    return _seconds(value) if kind is float else value


def _seconds(value: str) -> float:
    """Read ``0.5``, ``0.5s`` or ``500ms``."""
    return float(value[:-2]) / 1000 if value.endswith("ms") else float(value.removesuffix("s"))


def script_of(model: str, question: str) -> Script:
    """Read the script of a request from its model name and its question."""
    found = parse(model.partition(":")[2]) if model.startswith("fake:") else {}
    for words in _DIRECTIVES.findall(question):
        found |= parse(words)
    return Script(**found)  # type: ignore[arg-type]


def without_directives(question: str) -> str:
    """Return what a person would have asked."""
    return _DIRECTIVES.sub("", question)


def encoded(text: str) -> str:
    """Write ``text`` so that it can stand in a script."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
