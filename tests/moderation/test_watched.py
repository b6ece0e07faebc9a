"""What an operator sees of moderation: figures, and how the provider that judges does (O-4, M-10)."""

from pathlib import Path

import pytest

from parlour.settings.model import Settings
from parlour.settings.moderation import ModerationSettings
from tests.harness.serving import Served, serving, settings
from tests.moderation.fake import FakeModeration

pytestmark = pytest.mark.anyio


def judged(folder: Path, provider: FakeModeration) -> Settings:
    """Settings of a server that has messages judged by a list and by a provider."""
    rules = folder / "rules.txt"
    rules.write_text("casino\n")
    moderation = ModerationSettings(
        input="block", rules=rules, ask_provider="input", provider_url=provider.base_url
    )
    return settings(folder, moderation=moderation)


async def figures(served: Served) -> dict[str, float]:
    """What /metrics tells of moderation."""
    lines = (await served.request("GET", "/metrics")).body.decode().splitlines()
    parted = [line.rpartition(" ") for line in lines if line.startswith("parlour_moderation")]
    return {name: float(value) for name, _, value in parted if "_created" not in name}


async def health(served: Served) -> str:
    """How /health finds the provider that judges, without its memory of a second."""
    (check,) = [each for each in served.parlour.checks() if each.name == "moderation"]
    return (await check.check()).state.value


async def test_findings_and_missing_judgements_are_counted(tmp_path: Path, provider: FakeModeration) -> None:
    async with serving(judged(tmp_path, provider)) as served:
        visitor = await served.visitor()
        assert await health(served) == "healthy"
        await visitor.send("Where is the casino?")
        provider.fault = "status"
        await visitor.send("Where is the museum?")
        assert await figures(served) == {
            'parlour_moderation_findings_total{action="block",stage="input"}': 1,
            "parlour_moderation_unreachable_total": 1,
        }
        assert await health(served) == "degraded"
        provider.fault = ""
        await visitor.send("When is the museum open?")
        assert await health(served) == "healthy"


async def test_a_server_that_asks_nobody_has_nothing_to_tell(tmp_path: Path) -> None:
    async with serving(settings(tmp_path)) as served:
        assert "moderation" not in {check.name for check in served.parlour.checks()}
