"""What a model can do: how much it reads and writes, whether it calls tools and sees pictures.

Context sizes come from the table of genai-prices. What that table does not tell, limits of output, tools and
pictures, stands here by families of models, the most special name first. A model that nobody knows gets what
is safe to assume: on the operator's own machine the 8,192 tokens that servers commonly load a model with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from parlour.llm.cost import context_window

# Where the families below were last compared with the providers' own model pages.
AS_OF = "2026-11"

UNKNOWN_LOCAL_CONTEXT = 8_192
UNKNOWN_HOSTED_CONTEXT = 32_768
# The built-in answerer reads what it is given; only the newest message counts for it.
BUILTIN_CONTEXT = 1_000_000
BUILTIN_OUTPUT = 4_096


@dataclass(frozen=True, slots=True)
class Profile:
    """Tokens that a model reads (its own answer included) and writes at most, and what else it can.

    ``structured`` means answers by a JSON schema; ``continues`` that it can go on from another's words.
    ``assumed`` says that the context is a guess: who else fits goes first, but nobody is turned away by it.
    ``unknown`` says that nothing is known of the model at all: whoever names it may know better.
    """

    context_tokens: int
    output_tokens: int
    tools: bool = False
    images: bool = False
    streaming: bool = True
    structured: bool = False
    continues: bool = True
    assumed: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class _Family:
    names: re.Pattern[str]
    output: int | None
    tools: bool = True
    images: bool = True
    context: int | None = None


def _family(
    names: str, output: int | None, *, tools: bool = True, images: bool = True, context: int | None = None
) -> _Family:
    return _Family(re.compile(names), output, tools, images, context)


_FAMILIES: Mapping[str, tuple[_Family, ...]] = {
    "openai": (
        _family(r"gpt-3\.5", 4_096, images=False),
        _family(r"gpt-4-32k|gpt-4$|gpt-4-0", 4_096, images=False),
        _family(r"gpt-4-", 4_096),
        _family(r"gpt-4o|chatgpt-4o", 16_384),
        _family(r"gpt-4\.1", 32_768),
        _family(r"gpt-oss", 32_768, images=False),
        _family(r"o1-(mini|preview)", 32_768, tools=False, images=False),
        _family(r"o3-mini", 100_000, images=False),
        _family(r"o\d", 100_000),
        _family(r"gpt-5\.3$|gpt-5.*chat", 16_384),
        _family(r"gpt-\d", 128_000),
    ),
    "anthropic": (
        _family(r"claude-(v1|2|instant)", 4_096, tools=False, images=False),
        _family(r"claude-3-(opus|sonnet|haiku)", 4_096),
        _family(r"claude-3-5", 8_192),
        _family(r"claude-opus-4-[01]", 32_000),
        _family(r"claude-(haiku|sonnet)-4|claude-3-7|claude-opus-4-5", 64_000),
        _family(r"claude", 128_000),
    ),
    "gemini": (
        _family(r"gemini-(1\.|2\.0)", 8_192),
        _family(r"gemma", 8_192, tools=False),
        _family(r"gemini", 65_536, context=1_000_000),
    ),
}

# Open models by the names that servers give them. A context is stated only where it is not the server's
# choice; pictures and tools are what the model was trained for.
_OPEN_MODELS = (
    _family(r"llava|moondream|minicpm-v|bakllava", None, tools=False),
    _family(r"llama-?3\.2-vision|llama-?4|pixtral|mistral-small3|gemma-?[34]|qwen.*vl|-vision", None),
    _family(
        r"llama-?3\.[123]|llama-?3-|qwen|mistral|mixtral|command-r|hermes|gpt-oss|deepseek|granite|phi-?4|glm|kimi",
        None,
        images=False,
    ),
)


def profile_of(provider: str, model: str, overrides: Mapping[str, Profile] | None = None) -> Profile:
    """Return what a model can do; ``overrides`` by ``provider/model`` win over everything known."""
    given = overrides.get(f"{provider}/{model}") if overrides else None
    return given or _known(provider, model)


@lru_cache(maxsize=512)
def _known(provider: str, model: str) -> Profile:
    if provider == "builtin":
        return Profile(BUILTIN_CONTEXT, BUILTIN_OUTPUT, continues=False)
    families = _FAMILIES.get(provider, _OPEN_MODELS)
    family = next((each for each in families if each.names.search(model.lower())), None)
    hosted = provider in _FAMILIES
    # A server of the operator's own loads a model with a context of its choice, whatever the model could do.
    known = (context_window(provider, model) if hosted else None) or (family and family.context)
    context = known or (UNKNOWN_HOSTED_CONTEXT if hosted else UNKNOWN_LOCAL_CONTEXT)
    return Profile(
        context_tokens=context,
        # Half of the context where nothing is known: the question needs the other half.
        output_tokens=min(family.output, context) if family and family.output else context // 2,
        tools=family is not None and family.tools,
        images=family is not None and family.images,
        structured=family is not None and family.tools,
        assumed=known is None,
        unknown=family is None,
    )
