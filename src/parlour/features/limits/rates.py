"""How much may be asked in a minute: by each person, session, API key, and address that visitors share.

A message is admitted by all of its subjects or counted for none. Its tokens are an estimate then; what it
really used is charged when that is known, as far as the limit has room, so that it weighs on the next ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

from parlour.features.limits.counting.tally import Charge, Counting, Tally
from parlour.features.limits.headers import openai_headers, ratelimit_headers
from parlour.features.limits.plans import Plans
from parlour.infra.web.addresses import group_of
from parlour.vocabulary.allowance import Allowance, Resource
from parlour.vocabulary.errors import TooMany
from parlour.vocabulary.principal import Principal, Role

_SENTENCES: Final = {
    "person": "That was a lot in one minute.",
    "session": "That was a lot in one minute for one conversation.",
    "key": "This API key has asked a lot in one minute.",
    "address": "Many are writing from your network right now.",
    "door": "Many have come in from your network just now.",
}


class _Demand(NamedTuple):
    """What one request takes from one limit."""

    subject: str
    resource: Resource
    charge: Charge


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that was let in: its limits as they stand now, and what to settle with."""

    allowances: tuple[Allowance, ...] = ()
    tokens: int = 0
    charged: tuple[Charge, ...] = ()

    def headers(self) -> dict[str, str]:
        """Return the ``RateLimit`` headers."""
        return ratelimit_headers(self.allowances)

    def openai_headers(self) -> dict[str, str]:
        """Return the ``x-ratelimit-*`` headers of OpenAI's API."""
        return openai_headers(self.allowances)


class Rates:
    """The limits of a minute."""

    def __init__(self, counting: Counting, plans: Plans) -> None:
        """Count with ``counting`` what ``plans`` allow."""
        self._counting = counting
        self._plans = plans

    async def admit(self, principal: Principal, *, session_id: str | None, tokens: int) -> Admission:
        """Count one request that will use about so many tokens. Raises TooMany, with what is left of what."""
        requests, most_tokens = map(self._ours, self._plans.rates(principal))
        subjects = _subjects(principal, session_id)
        demands = [_demand(*subject, "requests", requests, 1) for subject in subjects]
        demands += [_demand(*subject, "tokens", most_tokens, max(1, tokens)) for subject in subjects]
        return await self._admit(demands)

    async def admit_stranger(self, address: str) -> Admission:
        """Count somebody at ``address`` who asks for an identity. Raises TooMany."""
        limit = self._ours(self._plans.requests_per_minute)
        return await self._admit([_demand("door", group_of(address), "requests", limit, 1)])

    def _ours(self, limit: int) -> int:
        """Return the part of a limit that may be used here."""
        share = self._counting.share
        return limit if share == 1.0 else max(1, int(limit * share))

    async def settle(self, admission: Admission, tokens: int) -> None:
        """Charge what was used beyond the estimate; what was not used stays charged."""
        beyond = tokens - admission.tokens
        if beyond > 0 and admission.charged:
            await self._counting.fill([charge._replace(cost=beyond) for charge in admission.charged])

    async def _admit(self, demands: Sequence[_Demand]) -> Admission:
        passed, tallies = await self._counting.admit([demand.charge for demand in demands])
        if not passed:
            raise self._refusal(demands, tallies)
        tokens = [demand.charge for demand in demands if demand.resource == "tokens"]
        return Admission(
            self._allowances(demands, tallies, admitted=True),
            max((charge.cost for charge in tokens), default=0),
            tuple(tokens),
        )

    def _refusal(self, demands: Sequence[_Demand], tallies: Sequence[Tally]) -> TooMany:
        waits = [
            tally.wait(demand.charge.limit, demand.charge.cost, self._counting.window)
            for demand, tally in zip(demands, tallies, strict=True)
        ]
        longest = max(waits)
        subject = demands[waits.index(longest)].subject
        seconds = max(1, ceil(longest))
        return TooMany(
            f"{_SENTENCES[subject]} Go on in {seconds} {'second' if seconds == 1 else 'seconds'}.",
            retry_after=longest,
            allowances=self._allowances(demands, tallies, admitted=False),
        )

    def _allowances(
        self, demands: Sequence[_Demand], tallies: Sequence[Tally], *, admitted: bool
    ) -> tuple[Allowance, ...]:
        """Return what is left of each resource where the least of it is left."""
        window = self._counting.window
        tightest: dict[Resource, tuple[int, int, Tally]] = {}
        for (_, resource, charge), tally in zip(demands, tallies, strict=True):
            if admitted:
                left = tally.left if tally.previous or tally.current else float(window)
                tally = Tally(tally.previous, tally.current + charge.cost, left)
            remaining = charge.limit - tally.used(window)
            if resource not in tightest or remaining < tightest[resource][0]:
                tightest[resource] = (remaining, charge.limit, tally)
        return tuple(
            Allowance(
                resource=resource,
                limit=limit,
                window=window,
                remaining=max(0, remaining),
                more_in=tally.wait(limit, 1, window),
                all_in=tally.wait(limit, limit, window),
            )
            for resource, (remaining, limit, tally) in tightest.items()
        )


def _demand(subject: str, name: str, resource: Resource, limit: int, cost: int) -> _Demand:
    # More than a limit ever has room for passes when all of it is free.
    return _Demand(subject, resource, Charge(f"{subject}:{name}:{resource}", limit, min(cost, limit)))


def _subjects(principal: Principal, session_id: str | None) -> list[tuple[str, str]]:
    subjects = [("person", principal.person_id)]
    if session_id is not None:
        subjects.append(("session", session_id))
    if principal.key_id is not None:
        subjects.append(("key", principal.key_id))
    if principal.role is Role.VISITOR:
        subjects.append(("address", group_of(principal.address)))
    return subjects
