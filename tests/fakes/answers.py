"""What the fake says, whatever wire carries it: the words, where to go on, and how JSON is written."""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from parlour.llm.prompting import QUESTION_HEADING
from tests.fakes.script import Script, without_directives


def answer_pieces(question: str, script: Script, messages: list[dict[str, Any]]) -> list[str]:
    """Return the pieces of the answer: for equal questions always the same ones."""
    if script.empty:
        return []
    if script.hostile:
        return _hostile(script)
    if script.flood:
        return ["x" * 999 + "\n"] * 10_000
    text = script.text
    if script.echo:
        text = json.dumps(messages, ensure_ascii=False)
    if text is None:
        words = re.findall(r"\w+", without_directives(question).lower()) or ["nothing"]
        digest = sha256(question.encode("utf-8", "replace")).hexdigest()[:6]
        numbered = [f"{words[i % len(words)]}-{i + 1}" for i in range(max(script.n - 1, 0))]
        text = " ".join([f"{digest}:", *numbered])
    pieces = re.findall(r"\S+\s*|\s+", text)
    return ["".join(pieces)] if "one" in script.shape else pieces


def _hostile(script: Script) -> list[str]:
    match script.hostile:
        case "nul":
            return ["before\0", "\0", " after\0"]
        case "surrogate":
            return ["before ", "\ud800", " middle ", "\udfff", " after"]
        case "pair":
            return ["before ", "\ud83d", "\ude00", " after \ud83d"]
        case "breakout":
            return ["a\n\nevent: done\ndata: {}\n\n", "\r\rdata: [DONE]\r\r", "\u2028: comment\n", "b"]
        case "big":
            return ["y" * 100_000] * 100
        case other:
            raise ValueError(f"unknown hostile text {other!r}")


def remaining(pieces: list[str], partial: str) -> tuple[int, list[str]]:
    """Return where to go on after ``partial``, and the pieces with the first one cut to fit.

    A partial answer that is not the beginning of this one is answered from the start.
    """
    if not partial or not "".join(pieces).startswith(partial):
        return 0, pieces
    left = len(partial)
    for index, piece in enumerate(pieces):
        if left < len(piece):
            return index, [*pieces[:index], piece[left:], *pieces[index + 1 :]]
        left -= len(piece)
    return len(pieces), pieces


def bytewise(data: bytes) -> Iterator[bytes]:
    """Return every byte alone."""
    return (data[i : i + 1] for i in range(len(data)))


def dumps(document: object, *, indent: int | None = None) -> str:
    """Write JSON with the text as it is, or escaped where it could not be encoded."""
    plain = json.dumps(document, ensure_ascii=False, indent=indent)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return json.dumps(document, indent=indent)
    return plain


def question_of(messages: list[dict[str, Any]]) -> str:
    """Return the newest user message without the passages and notes that may stand before it."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content") or ""
            if isinstance(content, list):
                content = "".join(part.get("text", "") for part in content)
            _, found, question = content.partition(f"\n{QUESTION_HEADING}\n")
            return str(question if found else content)
    return ""
