"""From settings to moderation: the owner's rules, what is masked, and the provider that judges."""

from collections.abc import Sequence

from parlour.features.moderation.masking.personal import kinds_named
from parlour.features.moderation.rules.own import OwnRules
from parlour.features.moderation.service import Moderation, Moderator, Policy
from parlour.features.moderation.values import About, Action, Finding, MaskReceipt, Stage
from parlour.infra.observability.health import Health, HealthState
from parlour.infra.observability.metrics import Metrics
from parlour.infra.storage.database import Database
from parlour.infra.web.outbound import Session
from parlour.llm.moderation import OpenAIModeration
from parlour.settings import Settings
from parlour.vocabulary.errors import ProviderError


class CountedModeration(Moderation):
    """Moderation whose findings are counted, each once: when it is kept."""

    def __init__(self, *, policy: Policy, database: Database, rules: OwnRules, metrics: Metrics) -> None:
        """Count in ``metrics``."""
        super().__init__(policy=policy, database=database, rules=rules)
        self._metrics = metrics

    async def record(
        self, about: About, findings: Sequence[Finding], receipt: MaskReceipt | None = None
    ) -> None:
        """Keep what was found, and count it."""
        await super().record(about, findings, receipt)
        for finding in findings:
            self._metrics.moderation_found(finding.stage.value, finding.action.value)


class WatchedModerator:
    """A provider that judges, of which is known how its last call went."""

    def __init__(self, moderator: Moderator, metrics: Metrics) -> None:
        """Ask ``moderator``."""
        self._moderator = moderator
        self._metrics = metrics
        self._trouble: ProviderError | None = None

    async def check(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the categories of each text. Raises what the provider raises, and remembers it."""
        try:
            judged = await self._moderator.check(texts)
        except ProviderError as error:
            self._trouble = error
            self._metrics.moderation_unreachable()
            raise
        self._trouble = None
        return judged

    async def health(self) -> Health:
        """Tell how the last call went: another one, only to look, could cost somebody's allowance."""
        if self._trouble is None:
            return Health(HealthState.HEALTHY, "The moderation API judged when it was last asked, if ever.")
        cause = self._trouble.cause or self._trouble.code
        return Health(HealthState.DEGRADED, f"The moderation API did not judge when last asked: {cause}.")


def build_moderation(settings: Settings, database: Database, metrics: Metrics) -> Moderation:
    """Return moderation as the settings want it. Raises InvalidInput for rules that cannot be read."""
    wanted = settings.moderation
    policy = Policy(
        input=Action(wanted.input),
        retrieved=Action(wanted.retrieved),
        output=Action(wanted.output),
        asks_provider=frozenset(map(Stage, wanted.provider_stages)),
        closed=wanted.when_unreachable == "refuse",
        hold=wanted.hold,
        cues=wanted.cues,
        masks=kinds_named(wanted.masked_kinds),
        input_refusal=wanted.input_refusal,
        output_refusal=wanted.output_refusal,
    )
    rules = OwnRules.read(wanted.rules) if wanted.rules is not None else OwnRules()
    return CountedModeration(policy=policy, database=database, rules=rules, metrics=metrics)


def build_moderator(settings: Settings, session: Session, metrics: Metrics) -> WatchedModerator | None:
    """Return the provider that judges, if the owner wants one; OpenAI's key goes to OpenAI's address only."""
    wanted, openai = settings.moderation, settings.openai
    if not wanted.provider_stages:
        return None
    url = wanted.provider_url or openai.base_url
    key = wanted.provider_key or (openai.api_key if url == openai.base_url else None)
    moderator = OpenAIModeration(
        session=session,
        base_url=url,
        api_key=key.get_secret_value() if key else "",
        model=wanted.provider_model,
        timeout=wanted.provider_timeout,
    )
    return WatchedModerator(moderator, metrics)
