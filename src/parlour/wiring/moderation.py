"""From settings to moderation: the owner's rules, what is masked, and the provider that judges."""

from parlour.features.moderation.masking.personal import kinds_named
from parlour.features.moderation.rules.own import OwnRules
from parlour.features.moderation.service import Moderation, Policy
from parlour.features.moderation.values import Action, Stage
from parlour.infra.storage.database import Database
from parlour.infra.web.outbound import Session
from parlour.llm.moderation import OpenAIModeration
from parlour.settings import Settings


def build_moderation(settings: Settings, database: Database) -> Moderation:
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
    return Moderation(policy=policy, database=database, rules=rules)


def build_moderator(settings: Settings, session: Session) -> OpenAIModeration | None:
    """Return the provider that judges, if the owner wants one; OpenAI's key goes to OpenAI's address only."""
    wanted, openai = settings.moderation, settings.openai
    if not wanted.provider_stages:
        return None
    url = wanted.provider_url or openai.base_url
    key = wanted.provider_key or (openai.api_key if url == openai.base_url else None)
    return OpenAIModeration(
        session=session,
        base_url=url,
        api_key=key.get_secret_value() if key else "",
        model=wanted.provider_model,
        timeout=wanted.provider_timeout,
    )
