"""What the server needs from elsewhere: providers of models, a moderation API, Redis. Asks each once.

A provider is asked for the list of its models, which costs nothing, and only where it is set up.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from parlour import __version__
from parlour.entrypoints.cli.findings import Finding, Mark
from parlour.infra.observability.health import HealthState
from parlour.infra.storage.redis import RedisCheck, open_redis
from parlour.infra.web.outbound import Session, open_session
from parlour.llm.moderation import OpenAIModeration
from parlour.llm.providers.anthropic import Anthropic
from parlour.llm.providers.gemini import Gemini
from parlour.llm.providers.ollama import Ollama
from parlour.llm.providers.openai_compatible import OpenAICompatible
from parlour.settings import Settings, named_models
from parlour.settings.declaring import environment_name
from parlour.settings.providers import ProviderSettings
from parlour.vocabulary.errors import (
    BadKey,
    Overloaded,
    ProviderError,
    RateLimited,
    TimedOut,
    Unreachable,
)

PATIENCE_SECONDS = 10.0
# What makers put behind a name that stands for the newest of its kind: a date, a version, "latest".
_VERSION = r"(-\d+|:latest|-latest)?"


class _Listing(Protocol):
    """A provider that tells which models it has."""

    async def models(self) -> list[str]:
        """Return their names."""
        ...


_KINDS: dict[str, Callable[..., _Listing]] = {
    "openai": OpenAICompatible,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "compatible": OpenAICompatible,
    "ollama": Ollama,
}


async def reach(settings: Settings) -> AsyncIterator[Finding]:
    """Yield a finding for everything elsewhere that is set up, all of it asked at the same time."""
    async with open_session(user_agent=f"parlour/{__version__}") as session:
        looks = [_provider(settings, session, section) for section in settings.providers]
        if settings.moderation.provider_stages:
            looks.append(_moderation(settings, session))
        if settings.redis_url is not None:
            looks.append(_redis(settings.redis_url.get_secret_value()))
        for finding in await asyncio.gather(*looks):
            yield finding
    if not settings.providers:
        words = "The built-in one answers from the knowledge base. Set OPENAI_API_KEY for a language model."
        yield Finding(Mark.OK, "provider", words)


async def _provider(settings: Settings, session: Session, section: str) -> Finding:
    given: ProviderSettings = getattr(settings, section)
    where = given.base_url
    model = _KINDS[section](
        session=session,
        base_url=where,
        api_key=given.api_key.get_secret_value() if given.api_key else "",
        model=given.model or "any",
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            offered = await model.models()
    except BadKey as error:
        words = f"{where} refuses the key. Check {environment_name(given, 'api_key')}.{_cause(error)}"
        # Others answer in its place, where there are any.
        return Finding(Mark.FAIL if len(settings.providers) == 1 else Mark.WARN, section, words)
    except (ProviderError, TimeoutError) as error:
        # Parlour starts all the same and answers when the provider is back.
        return Finding(Mark.WARN, section, _trouble(error, where, environment_name(given, "base_url")))
    wanted = [name for each, name in named_models(settings) if each == section]
    missing = [name for name in wanted if not _offers(offered, name)]
    if missing or not offered:
        return Finding(Mark.WARN, section, _lacking(given, missing, offered))
    return Finding(Mark.OK, section, f"{where} answers and offers {', '.join(wanted) or offered[0]}.")


def _lacking(given: ProviderSettings, missing: Sequence[str], offered: Sequence[str]) -> str:
    if not offered:
        return f"{given.base_url} answers but has no models. Load one there."
    remedy = f"Set {environment_name(given, 'model')} to, say, {offered[0]}"
    if given.model not in missing:
        remedy = f"Mend the name where it is set; there is, say, {offered[0]}"
    return f"{given.base_url} does not offer {', '.join(missing)}. {remedy}"


def _offers(offered: Sequence[str], name: str) -> bool:
    return any(re.fullmatch(re.escape(name) + _VERSION, each) for each in offered)


def _trouble(error: ProviderError | TimeoutError, where: str | None, setting: str) -> str:
    """Say what is wrong in an operator's words: an error's own sentence is for readers."""
    match error:
        case TimeoutError():
            return f"{where} cannot be reached: no answer within {PATIENCE_SECONDS:g} s. Check {setting}."
        case Unreachable() | TimedOut():
            return f"{where} cannot be reached. Check {setting}, and whether it runs.{_cause(error)}"
        case RateLimited() | Overloaded():
            return f"{where} answers, but takes no requests now. Look again later.{_cause(error)}"
        case _:
            return f"{where} gives no list of its models. Check {setting}.{_cause(error)}"


def _cause(error: ProviderError) -> str:
    return f" ({error.cause})" if error.cause else ""


async def _moderation(settings: Settings, session: Session) -> Finding:
    name, wanted = "moderation", settings.moderation
    key = wanted.provider_key or settings.openai.api_key
    url = wanted.provider_url or settings.openai.base_url
    if wanted.provider_key is None and url != settings.openai.base_url:
        key = None
    judge = OpenAIModeration(
        session=session,
        base_url=url,
        api_key=key.get_secret_value() if key else "",
        model=wanted.provider_model,
        timeout=wanted.provider_timeout,
    )
    becomes = "pass" if wanted.when_unreachable == "allow" else "count as breaking the rules"
    try:
        await judge.check(["Hello"])
    except BadKey as error:
        words = f"{url} refuses the key, so texts {becomes}. Check PARLOUR_MODERATION_KEY.{_cause(error)}"
        return Finding(Mark.WARN, name, words)
    except ProviderError as error:
        words = f"{url} does not judge, so texts {becomes}. Check PARLOUR_MODERATION_URL.{_cause(error)}"
        return Finding(Mark.WARN, name, words)
    return Finding(Mark.OK, name, f"{url} judges.")


async def _redis(url: str) -> Finding:
    client = open_redis(url, patience=PATIENCE_SECONDS)
    try:
        health = await RedisCheck(client).check()
    finally:
        await client.aclose()
    mark = Mark.OK if health.state is HealthState.HEALTHY else Mark.WARN
    return Finding(mark, "redis", health.detail)
