"""What models can do, and what is assumed of those that nobody knows."""

import pytest

from parlour.llm.orchestra.profile import Profile, profile_of
from parlour.settings.providers import AnthropicSettings, GeminiSettings, OpenAISettings


@pytest.mark.parametrize(
    ("provider", "model", "context", "output", "tools", "images"),
    [
        ("openai", "gpt-6.1-terra", 1_050_000, 128_000, True, True),
        ("openai", "gpt-4o-2024-08-06", 128_000, 16_384, True, True),
        ("openai", "gpt-4o-mini", 128_000, 16_384, True, True),
        ("openai", "gpt-3.5-turbo", 16_385, 4_096, True, False),
        ("openai", "o3-mini", 200_000, 100_000, True, False),
        ("anthropic", "claude-sonnet-5-5", 1_000_000, 128_000, True, True),
        ("anthropic", "claude-haiku-4-5-20251001", 200_000, 64_000, True, True),
        ("anthropic", "claude-3-5-sonnet-20241022", 200_000, 8_192, True, True),
        ("gemini", "gemini-3.8-flash", 1_000_000, 65_536, True, True),
        ("gemini", "gemini-2.5-pro", 1_000_000, 65_536, True, True),
    ],
)
def test_known_models(  # a row of the table each
    provider: str, model: str, context: int, output: int, *, tools: bool, images: bool
) -> None:
    profile = profile_of(provider, model)

    assert (profile.context_tokens, profile.output_tokens) == (context, output)
    assert (profile.tools, profile.images, profile.streaming) == (tools, images, True)
    assert not profile.assumed


@pytest.mark.parametrize(
    ("model", "tools", "images"),
    [
        ("llama3.2:3b", True, False),
        ("llama3.2-vision:11b", True, True),
        ("llava:7b", False, True),
        ("qwen3:32b", True, False),
        ("qwen2.5vl:7b", True, True),
        ("gemma3:12b", True, True),
        ("a-model-of-my-own", False, False),
    ],
)
@pytest.mark.parametrize("provider", ["ollama", "compatible"])
def test_models_on_one_s_own_machine_get_what_is_safe(
    provider: str, model: str, *, tools: bool, images: bool
) -> None:
    profile = profile_of(provider, model)

    unknown = model == "a-model-of-my-own"
    assert profile == Profile(8_192, 4_096, tools, images, structured=tools, assumed=True, unknown=unknown)


def test_an_unknown_hosted_model_is_assumed_to_be_a_modest_one() -> None:
    profile = profile_of("openai", "a-secret-model")
    assert (profile.context_tokens, profile.tools, profile.assumed) == (32_768, False, True)


def test_the_built_in_answerer_takes_everything_and_goes_on_from_nobody() -> None:
    profile = profile_of("builtin", "extractive")
    assert profile.context_tokens >= 1_000_000
    assert (profile.tools, profile.images, profile.continues) == (False, False, False)


def test_the_operator_knows_better() -> None:
    mine = Profile(131_072, 16_384, tools=True)
    assert profile_of("ollama", "llama3.2", {"ollama/llama3.2": mine}) is mine
    assert profile_of("ollama", "other", {"ollama/llama3.2": mine}).context_tokens == 8_192


@pytest.mark.parametrize(
    ("provider", "settings"),
    [("openai", OpenAISettings()), ("anthropic", AnthropicSettings()), ("gemini", GeminiSettings())],
)
def test_the_default_models_are_known(
    provider: str, settings: OpenAISettings | AnthropicSettings | GeminiSettings
) -> None:
    for model in (*settings.offered, settings.model_for_small_work or ""):
        profile = profile_of(provider, model)
        assert not profile.assumed, model
        assert profile.tools
        assert profile.images
