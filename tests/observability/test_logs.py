"""Logs: one line per event, nothing secret in it, and nobody waits for them (P-35, A-234, F-100)."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import structlog

from parlour.infra.observability.logs import LONGEST_VALUE, MASK, choose_style, configure_logging
from parlour.infra.observability.sink import LogSink

Lines = Callable[[], list[str]]
Configure = Callable[..., Lines]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configure logging into a pipe; what is returned reads the lines so far. Everything is put back."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    opened: list[tuple[LogSink, int, int]] = []

    def configure(style: Literal["json", "console"] = "json", level: str = "info") -> Lines:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        sink = LogSink(writing)
        opened.append((sink, reading, writing))
        configure_logging(sink=sink, style=style, level=level, color=False)

        def lines() -> list[str]:
            sink.close()
            return os.read(reading, 1_000_000).decode().splitlines()

        return lines

    yield configure
    root.handlers[:], level = before[0], before[1]
    root.setLevel(level)
    structlog.reset_defaults()
    for sink, reading, writing in opened:
        sink.close()
        os.close(reading)
        os.close(writing)


def crash(message: str, typed: str) -> Exception:
    """An exception with a stack whose frames hold what somebody typed."""
    try:
        assert typed
        refuse(message)
    except ValueError as error:
        return error
    raise AssertionError


def refuse(message: str) -> None:
    raise ValueError(message)


def only(lines: Lines) -> dict[str, Any]:
    (line,) = lines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_a_line_has_time_level_logger_and_context(configure: Configure) -> None:
    lines = configure()
    with structlog.contextvars.bound_contextvars(request_id="r1", session_id="s1", run_id="u1"):
        structlog.get_logger("parlour.test").info("something", count=3)
    line = only(lines)
    assert line | {"event": "something", "level": "info", "logger": "parlour.test", "count": 3} == line
    assert (line["request_id"], line["session_id"], line["run_id"]) == ("r1", "s1", "u1")
    assert line["timestamp"].endswith("Z")


def test_other_libraries_speak_the_same_way(configure: Configure) -> None:
    lines = configure()
    logging.getLogger("somebody.else").warning("hello %s", "there")
    line = only(lines)
    assert (line["event"], line["level"], line["logger"]) == ("hello there", "warning", "somebody.else")


def test_what_is_below_the_level_is_not_written(configure: Configure) -> None:
    lines = configure(level="warning")
    structlog.get_logger("a").info("no")
    logging.getLogger("b").info("no")
    structlog.get_logger("c").error("yes")
    assert only(lines)["event"] == "yes"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop",
        "xoxb-1234567890-abcdef",
        "AIzaSyA1234567890abcdefgh",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "/#sign-in=Zm9vYmFyYmF6cXV4",
        "postgresql://me:hunter2@db/parlour",
    ],
)
def test_what_looks_like_a_secret_is_masked_anywhere(configure: Configure, secret: str) -> None:
    """P-35, S-8."""
    lines = configure()
    log = structlog.get_logger("a")
    log.info(f"found {secret} here", value=secret, deep={"list": [secret], "more": {"x": secret}})
    logging.getLogger("b").warning("header was Bearer %s", secret)
    log.error("crash", exc_info=crash(secret, "nothing"))
    text = "\n".join(lines())
    tail = secret.rpartition("=")[2].rpartition("://me:")[2].partition("@")[0]
    assert tail not in text
    assert MASK in text


@pytest.mark.parametrize("name", ["password", "api_key", "Authorization", "cookie", "jwt_secret", "token"])
def test_what_is_named_like_a_secret_is_masked(configure: Configure, name: str) -> None:
    lines = configure()
    structlog.get_logger("a").info("x", **{name: "hunter2"}, deep={name: "hunter2"}, input_tokens=7)
    line = only(lines)
    assert "hunter2" not in str(line)
    assert line["input_tokens"] == 7


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\x1b[31mred", "a\x00b", "a\u2028b", "a\x85b"])
def test_nobody_can_forge_a_second_line(configure: Configure, style: str, text: str) -> None:
    """A-234."""
    lines = configure(style)
    structlog.get_logger("a").info(text, value=text, deep=[text])
    (line,) = lines()
    assert not set(line) & set("\x1b\x00\u2028\x85\r")


def test_long_values_are_cut(configure: Configure) -> None:
    """A-234."""
    lines = configure()
    structlog.get_logger("a").info("x", value="v" * 1_000_000, deep={"inner": "v" * 10_000})
    line = only(lines)
    assert len(line["value"]) < LONGEST_VALUE + 20
    assert len(line["deep"]["inner"]) < LONGEST_VALUE + 20


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_crash_has_its_stack_and_no_local_variables(configure: Configure, style: str) -> None:
    lines = configure(style)
    structlog.get_logger("a").error("crash", exc_info=crash("broken", "".join(["can", "ary"])))
    written = lines()
    assert style == "console" or len(written) == 1
    assert "ValueError: broken" in "\n".join(written)
    assert "canary" not in "\n".join(written)


def test_a_line_that_cannot_be_encoded_is_still_written(configure: Configure) -> None:
    lines = configure()
    structlog.get_logger("a").info("half \ud800 pair", value="\udfff")
    assert len(lines()) == 1


def test_a_hung_reader_holds_nobody_up_and_drops_are_counted() -> None:
    """F-100."""
    reading, writing = os.pipe()
    sink = LogSink(writing, limit=10)
    dropped = 0

    def count() -> None:
        nonlocal dropped
        dropped += 1

    sink.count_drops(count)
    began = time.monotonic()
    for _ in range(100):
        sink.write("x" * 70_000)  # more than a pipe holds: its thread waits from the first one on
    assert time.monotonic() - began < 1
    assert dropped >= 80
    drain = threading.Thread(target=lambda: [os.read(reading, 1 << 20) for _ in range(60)], daemon=True)
    drain.start()
    sink.close()
    os.close(writing)
    drain.join(5)
    os.close(reading)


def test_a_closed_file_is_a_drop_not_a_crash() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    sink = LogSink(writing)
    dropped = threading.Event()
    sink.count_drops(dropped.set)
    sink.write("to nobody\n")
    assert dropped.wait(5)
    sink.close()
    os.close(writing)


def test_the_style_follows_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, production, style in (
        (True, False, "console"),
        (True, True, "json"),
        (False, False, "json"),
    ):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal, raising=False)
        assert choose_style("auto", production=production) == style
    assert choose_style("json", production=False) == "json"
    assert choose_style("console", production=True) == "console"
