"""How allowances are told in HTTP headers: the IETF's fields, and OpenAI's for its SDKs.

``RateLimit`` and ``RateLimit-Policy`` as in draft-ietf-httpapi-ratelimit-headers-10: structured lists of
policies by name, with quota ``q`` (in units ``qu``, by default requests) in a window of ``w`` seconds, and of
what remains ``r`` for the next ``t`` seconds.
"""

from collections.abc import Sequence
from math import ceil

from parlour.vocabulary.allowance import Allowance


def ratelimit_headers(allowances: Sequence[Allowance]) -> dict[str, str]:
    """Return the IETF's header fields; none without allowances."""
    if not allowances:
        return {}
    return {
        "RateLimit-Policy": ", ".join(map(_policy, allowances)),
        "RateLimit": ", ".join(map(_state, allowances)),
    }


def openai_headers(allowances: Sequence[Allowance]) -> dict[str, str]:
    """Return OpenAI's header fields, for the calls under ``/v1``."""
    headers = {}
    for each in allowances:
        headers[f"x-ratelimit-limit-{each.resource}"] = str(each.limit)
        headers[f"x-ratelimit-remaining-{each.resource}"] = str(each.remaining)
        headers[f"x-ratelimit-reset-{each.resource}"] = _duration(each.all_in)
    return headers


def _policy(allowance: Allowance) -> str:
    unit = "" if allowance.resource == "requests" else f';qu="{allowance.resource}"'
    return f'"{allowance.resource}";q={allowance.limit};w={allowance.window}{unit}'


def _state(allowance: Allowance) -> str:
    until = allowance.all_in if allowance.remaining else allowance.more_in
    return f'"{allowance.resource}";r={allowance.remaining};t={ceil(until)}'


def _duration(seconds: float) -> str:
    """Write a duration as Go does, and OpenAI: ``350ms``, ``6s``, ``1m0s``."""
    if seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
