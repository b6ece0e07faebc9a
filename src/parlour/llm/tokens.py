"""How many tokens a text takes, estimated on the safe side: rather too many than one too few.

No tokenizer is needed: an exact one costs 66 MB, fits one family of models, and knows none of its newest,
whose vocabulary nobody has published. ASCII text is cut where the byte-pair tokenizers cut it first, into
runs of letters, single digits, marks and blanks, and every piece costs one token. Beyond ASCII a token never
covers less than one byte of UTF-8, so a character costs its bytes, except in the scripts that are known to
come cheaper.

Held against both of OpenAI's vocabularies (o200k and cl100k, by rs-bpe 0.1.0, whichever needs more): of
2,000 passages, questions, programs and documents and of their 12,000 sentences none came out short. English
comes out 1.5 times the real count, Arabic 1.45, code 1.7, Russian 1.8, Chinese 1.5. It is an estimate and no
bound: a text of nothing but rare Chinese characters, which nobody writes, comes out a third short.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from parlour.llm.model import Prompt

# A short text may consist of rare names only; over a longer one they even out.
MARGIN = 3

# A word's letters by fours, capitals by twos; each digit, mark and line end; runs of blanks; a blank before
# a digit or beyond ASCII, where it may be a token of its own.
_ASCII_PIECE = re.compile(
    r"[A-Z]?[a-z]{1,4}|[A-Z]{1,2}|[0-9!-/:-@\[-`{-~\n\r\t\x00-\x08]"
    r"| {2,16}| (?=[0-9\x80-\U0010ffff])"
)
# Keys, addresses and encoded data have no words to find.
_UNSPACED = re.compile(r"[!-~]{25,}")
_UNSPACED_RATE = 0.75

# Tokens that a character of these scripts takes less than its bytes, at worst in ordinary text.
_SAVINGS = tuple(
    (re.compile(f"[{characters}]+"), saving)
    for characters, saving in (
        ("\u00a0-\u024f", 0.75),  # Latin with accents: 1.25 instead of 2
        ("\u0370-\u03ff", 0.7),  # Greek: 1.3
        ("\u0400-\u04ff", 1.25),  # Cyrillic: 0.75
        ("\u0590-\u05ff\u0600-\u06ff", 1.0),  # Hebrew, Arabic: 1
        ("\u0900-\u097f\u0e00-\u0e7f", 1.5),  # Devanagari, Thai: 1.5 instead of 3
        ("\u1e00-\u1eff", 1.5),  # Latin with two accents
        ("\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026", 2.0),  # the marks of good typography: 1
        ("\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef", 1.5),  # Chinese, Japanese, Korean: 1.5
    )
)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens ``text`` takes, erring high."""
    pieces = len(_ASCII_PIECE.findall(text))
    for run in _UNSPACED.findall(text):
        pieces += max(0, math.ceil(len(run) * _UNSPACED_RATE) - len(_ASCII_PIECE.findall(run)))
    if not text.isascii():
        pieces += _beyond_ascii(text)
    return pieces + MARGIN if text else 0


def tokens_at_most(text: str) -> int:
    """Return a bound of :func:`estimate_tokens` that costs next to nothing: no piece is less than a byte."""
    return len(text.encode("utf-8", "replace")) + MARGIN


# The most that one picture takes, by the names of models; as providers document it and clients have measured
# it, up to 2026-11. OpenAI counts squares of 512 pixels, or of 32 with a factor, and from GPT-5.6 on makes no
# picture smaller; Anthropic and Gemini do.
_IMAGES: Mapping[str, tuple[tuple[re.Pattern[str], int], ...]] = {
    "openai": (
        (re.compile(r"(ft:)?gpt-4o-mini"), 48_169),  # 2,833 and 5,667 for each of 8 squares
        (re.compile(r"gpt-(5\.6|6)"), 36_000),  # 30,000 squares, times 1.2
        (re.compile(r"gpt-5\.5"), 12_000),  # 10,000 squares, times 1.2
        (re.compile(r"(ft:)?(chatgpt-4o|gpt-4|gpt-5(\.[1-4])?(-|$)|o\d)"), 4_050),  # 2,500, times 1.62
    ),
    "anthropic": ((re.compile(r"claude"), 4_784),),
    "gemini": ((re.compile(r"gemini"), 2_304),),  # 256 and the 2,048 of details before Gemini 3; then 1,120
    "ollama": ((re.compile(r""), 2_048),),
}
DEAREST_IMAGE = 48_169
# While it is open who answers: more than most pictures take with most models.
USUAL_IMAGE = 2_048
# Names and marks of a model's own template, for each message.
_MESSAGE = 16
# The words of ours around what a prompt holds: how to go on, how to answer in JSON; how to use passages.
_OUR_WORDS, _PASSAGE_RULES = 500, 1_200


def image_tokens(provider: str, model: str) -> int:
    """Return the most tokens that a picture takes with this model; of an unknown one, with any."""
    known = _IMAGES.get(provider, ())
    return next((tokens for names, tokens in known if names.match(model)), DEAREST_IMAGE)


def estimated_tokens(
    prompt: Prompt, *, count: Callable[[str], int] = estimate_tokens, image: int = USUAL_IMAGE
) -> int:
    """Return about how many tokens a model reads in ``prompt``, erring high; ``image`` for each picture."""
    return sum(map(count, _texts(prompt))) + image * _images(prompt)


def at_most_tokens(prompt: Prompt, models: Iterable[tuple[str, str]]) -> int:
    """Return a bound of what any of ``models``, each by provider and name, reads in ``prompt``.

    Money that is reserved by it is enough (B-4). An estimate falls short for a text that was made for that;
    this is some four times what an ordinary text takes.
    """
    around = _OUR_WORDS + _MESSAGE * len(prompt.turns) + (_PASSAGE_RULES if prompt.passages else 0)
    image = max((image_tokens(*model) for model in models), default=DEAREST_IMAGE)
    return sum(map(tokens_at_most, _texts(prompt))) + image * _images(prompt) + around


def _texts(prompt: Prompt) -> Iterator[str]:
    yield prompt.system
    yield prompt.partial
    for passage in prompt.passages:
        yield f"{passage.document_title} {passage.title_path} {passage.text}"
    for turn in prompt.turns:
        yield turn.content
        yield from (f"{call.id} {call.name} {call.arguments}" for call in turn.tool_calls)
    yield from (f"{tool.name} {tool.description} {tool.parameters}" for tool in prompt.tools)
    if prompt.output_schema is not None:
        yield str(prompt.output_schema)


def _images(prompt: Prompt) -> int:
    return sum(len(turn.images) for turn in prompt.turns)


def _beyond_ascii(text: str) -> int:
    encoded = text.encode("utf-8", "replace")
    cost = float(len(encoded) - sum(map(len, re.findall(r"[\x00-\x7f]+", text))))
    for script, saving in _SAVINGS:
        cost -= saving * sum(map(len, script.findall(text)))
    return math.ceil(cost)
