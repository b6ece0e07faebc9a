"""How a fake provider is told to behave: ``ttft=0.5;n=200;dt=0.01;rst@37``, read from words.

The words come from the model's name after a colon (``fake:n=50``) or from the newest user message between
double square brackets (``[[n=50;dt=0.02]]``); the message wins. Positions after ``@`` count pieces of the
whole answer, so that an answer which is continued after a fault at piece 37 does not meet it again.

A directive for one of several providers begins with its name: ``[[anthropic: rst@5]] [[openai: cut]]``.
Tools are called by ``calls=``, written by :func:`calling`: as soon as the prompt holds their results, the
answer is text. ``flaky=0.3;seed=7`` is a provider that fails at random, in the same way in every run.
"""

import base64
import json
import math
import re
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Any

_DIRECTIVES = re.compile(r"\[\[([^\[\]]*)\]\]")
_ADDRESSED = re.compile(r"\s*([a-z]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; ``arguments`` is what the model writes, JSON or not."""

    name: str
    arguments: str = "{}"
    id: str = ""


def calling(*calls: Call) -> str:
    """Write the directive that makes these calls."""
    return f"calls={encoded(json.dumps([[each.name, each.arguments, each.id] for each in calls]))}"


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
    needs: str = ""
    """Refuse the request (400) while it lacks this parameter."""
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
    calls: tuple[Call, ...] = ()
    """Tools to call, after the words of ``preface``; base64 in the script, see :func:`calling`."""
    preface: str = ""
    """What is said before tools are called; base64 in the script."""
    rounds: int = 1
    """How many times tools are called before the question is answered."""
    cut: bool = False
    """Reset the connection before any headers."""
    flaky: float = 0.0
    """How likely it is that the request fails in one of the ways of :func:`unlucky`."""
    seed: int = 0

    @property
    def healthy(self) -> "Script":
        """The same answer without any misbehaviour."""
        return replace(
            Script(n=self.n, dt=self.dt, text=self.text),
            calls=self.calls,
            preface=self.preface,
            rounds=self.rounds,
        )


_TYPES = {each.name: each.type for each in fields(Script)}
_BASE64 = {"text", "message", "moved", "preface", "calls"}
_FAULTS = {"eof", "rst", "stall", "badjson", "badutf8"}


def parse(words: str) -> dict[str, Any]:
    """Read ``a=1;b;rst@3``. An unknown word is an error: a test must not pass because of a typing slip."""
    found: dict[str, Any] = {}
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
        text = base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True).decode()
        return tuple(Call(*each) for each in json.loads(text)) if name == "calls" else text
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


def script_of(model: str, question: str, service: str = "", told: str = "") -> Script:
    """Read the script of a request: from its model name, its question, and what the provider was told.

    What comes later wins, and what is addressed to this ``service`` wins over what is for all.
    """
    found = parse(model.partition(":")[2]) if model.startswith("fake:") else {}
    general: dict[str, Any] = {}
    addressed: dict[str, Any] = {}
    for words in _DIRECTIVES.findall(question):
        match = _ADDRESSED.fullmatch(words)
        if match is None:
            general |= parse(words)
        elif match[1] == service:
            addressed |= parse(match[2])
    return Script(**{**found, **general, **addressed, **parse(told)})


def unlucky(script: Script, question: str, nth: int) -> Script:
    """Return what happens to the ``nth`` request with this question when the provider is ``flaky``."""
    dice = Random(f"{script.seed}/{question}/{nth}")
    if dice.random() >= script.flaky:
        return script.healthy
    place = dice.randrange(1, max(script.n, 2))
    misfortune = dice.choice(
        [
            *(f"status={status}" for status in (408, 429, 500, 502, 503, 504, 529)),
            "status=429;ra=1",
            *("cut", "html", "empty", "nofinish;nodone"),
            *(f"{fault}@{at}" for fault in ("eof", "rst", "stall") for at in (0, place)),
            *(f"event=error@{at}" for at in (0, place)),
        ]
    )
    return replace(script.healthy, **parse(misfortune))


def without_directives(question: str) -> str:
    """Return what a person would have asked."""
    return _DIRECTIVES.sub("", question)


def encoded(text: str) -> str:
    """Write ``text`` so that it can stand in a script."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
