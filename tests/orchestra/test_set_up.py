"""What an operator sets up, and what becomes of it: names of models, their prices, who may have them."""

from decimal import Decimal
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from parlour.settings.choosing import ModelSettings
from parlour.settings.limits import PlanSettings, PriceSettings
from parlour.settings.providers import AnthropicSettings, CompatibleSettings, OllamaSettings
from tests.fakes.provider import FakeProvider
from tests.harness.serving import Person, Served, serving, settings
from tests.orchestra.conftest import QUICK, four

pytestmark = pytest.mark.anyio


async def offered(person: Person) -> list[str]:
    """The models that a person can choose from."""
    return [each["id"] for each in (await person.ok("GET", "/api/models"))["items"]]


async def models_health(served: Served) -> dict[str, str]:
    """What /health says of the models, without its memory of a second."""
    (check,) = [each for each in served.parlour.checks() if each.name == "models"]
    health = await check.check()
    return {"status": health.state.value, "detail": health.detail}


async def test_a_name_with_openai_in_front_means_the_server_in_its_place(
    provider: FakeProvider, tmp_path: Path
) -> None:
    """M-8, B-4: plans, prices and the task map are written as OpenAI's own would be"""
    wanted = four(
        tmp_path, provider, models=QUICK.model_copy(update={"task_general": "openai/fake-o"})
    ).model_copy(
        update={
            "plans": {"visitors": PlanSettings(models=("openai/*", "gemini/fake-g"))},
            "prices": {"openai/fake-o": PriceSettings(input=Decimal(1), output=Decimal(2))},
        }
    )
    async with serving(wanted) as served:
        visitor = await served.visitor()
        assert await offered(visitor) == ["auto", "openai_compatible/fake-o", "gemini/fake-g"]
        reply = await visitor.send("When do you open?")
        used = reply["usage"]
        assert (reply["provider"], reply["model"]) == ("openai_compatible", "fake-o")
        assert reply["costUsd"] == pytest.approx((used["inputTokens"] + 2 * used["outputTokens"]) / 1e6)


@pytest.mark.parametrize("setting", ["task_code", "fallback"])
async def test_a_model_that_a_choice_names_can_be_asked(
    provider: FakeProvider, tmp_path: Path, setting: str
) -> None:
    """M-3: without being listed a second time; but the usual model of its provider stays the usual one"""
    models = QUICK.model_copy(update={setting: "anthropic/fake-strong, gemini/fake-g"})
    async with serving(four(tmp_path, provider, models=models)) as served:
        visitor = await served.visitor()
        assert "anthropic/fake-strong" in await offered(visitor)
        assert (await visitor.send("Hello", model="anthropic"))["model"] == "fake-a"
        if setting == "task_code":
            code = "Fix this Python function: def f(x): return x +"
            assert (await visitor.send(code))["model"] == "fake-strong"


async def test_a_provider_without_a_key_brings_no_model_by_being_named(tmp_path: Path) -> None:
    wanted = settings(tmp_path, models=ModelSettings(task_code="anthropic/claude-x, openai/gpt-x"))
    async with serving(wanted) as served:
        assert await offered(await served.visitor()) == ["auto", "builtin"]


async def test_a_call_that_failed_is_in_the_log_while_another_answers(
    visitor: Person, provider: FakeProvider
) -> None:
    """M-4, O-3: the cause, and never the key"""
    provider.told["anthropic"] = "status=401"
    with structlog.testing.capture_logs() as lines:
        reply = await visitor.send("Hello", model="anthropic")
    assert reply["provider"] != "anthropic"
    (line,) = [each for each in lines if each["event"] == "model_call_failed"]
    assert (line["provider"], line["model"], line["code"]) == ("anthropic", "fake-a", "provider_key")
    assert (line["log_level"], line["why"]) == ("warning", "You asked for it.")
    assert line["cause"]
    assert "sk-test-0123456789" not in str(lines)


@pytest.mark.parametrize("model", [None, "fake-l"])
async def test_an_ollama_that_does_not_answer_is_told_once(tmp_path: Path, model: str | None) -> None:
    away = OllamaSettings(base_url="http://127.0.0.1:1", model=model)
    with structlog.testing.capture_logs() as lines:
        async with serving(settings(tmp_path, ollama=away)) as served:
            await served.parlour.shelf.look()
            health = await models_health(served)
    told = [each for each in lines if each["event"] == "models_not_listed"]
    assert [(each["provider"], each["log_level"]) for each in told] == [("ollama", "warning")]
    assert health["status"] == "degraded"
    assert "ollama" in health["detail"]


async def test_a_server_that_came_back_is_well_again(provider: FakeProvider, tmp_path: Path) -> None:
    provider.told = {"ollama": "status=503", "openai": "status=503"}
    wanted = settings(
        tmp_path,
        ollama=OllamaSettings(base_url=provider.root),
        compatible=CompatibleSettings(base_url=provider.base_url),
        anthropic=AnthropicSettings(api_key=SecretStr("sk-test"), base_url=provider.root, model="fake-a"),
    )
    async with serving(wanted) as served:
        assert (await models_health(served))["status"] == "degraded"
        provider.told = {}
        await served.parlour.shelf.look()
        health = await models_health(served)
        assert health["status"] == "healthy", health
        there = await offered(await served.visitor())
        assert {each.split("/")[0] for each in there} >= {"ollama", "compatible", "anthropic"}
