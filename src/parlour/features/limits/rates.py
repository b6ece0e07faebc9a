"""How much may be asked in a minute: by each person, session, API key, and address that visitors share.

A message is admitted by all of its subjects or counted for none. Its tokens are an estimate then; what it
really used is charged when that is known, as far as the limit has room, so that it weighs on the next ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

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


@dataclass(frozen=True, slots=True)
class _Demand:
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
        requests_limit, tokens_limit = self._plans.rates(principal)
        subjects = _subjects(principal, session_id)
        demands = [self._demand(*subject, "requests", requests_limit, 1) for subject in subjects]
        demands += [self._demand(*subject, "tokens", tokens_limit, max(1, tokens)) for subject in subjects]
        return await self._admit(demands)

    async def admit_stranger(self, address: str) -> Admission:
        """Count somebody at ``address`` who asks for an identity. Raises TooMany."""
        limit = self._plans.requests_per_minute
        return await self._admit([self._demand("door", group_of(address), "requests", limit, 1)])

    async def settle(self, admission: Admission, tokens: int) -> None:
        """Charge what was used beyond the estimate; what was not used stays charged."""
        beyond = tokens - admission.tokens
        if beyond <= 0 or not admission.charged:
            return
        tallies = await self._counting.look([charge.key for charge in admission.charged])
        await self._counting.take(
            [
                Charge(charge.key, charge.limit, min(beyond, room))
                for charge, tally in zip(admission.charged, tallies, strict=True)
                if (room := charge.limit - tally.used(self._counting.window)) > 0
            ]
        )

    def _demand(self, subject: str, name: str, resource: Resource, limit: int, cost: int) -> _Demand:
        ours = max(1, int(limit * self._counting.share))
        # More than a limit ever has room for passes when all of it is free.
        charge = Charge(f"{subject}:{name}:{resource}", ours, min(cost, ours))
        return _Demand(subject, resource, charge)

    async def _admit(self, demands: Sequence[_Demand]) -> Admission:
        charges = [demand.charge for demand in demands]
        tallies = await self._counting.look([charge.key for charge in charges])
        self._refuse_beyond(demands, tallies)
        if not all(await self._counting.take(charges)):
            # Others came in between. What this one was counted for stays counted: it may only err that way.
            self._refuse_beyond(demands, await self._counting.look([charge.key for charge in charges]))
        tokens = [demand.charge for demand in demands if demand.resource == "tokens"]
        return Admission(
            self._allowances(demands, tallies, admitted=True),
            max((charge.cost for charge in tokens), default=0),
            tuple(tokens),
        )

    def _refuse_beyond(self, demands: Sequence[_Demand], tallies: Sequence[Tally]) -> None:
        waits = [
            tally.wait(demand.charge.limit, demand.charge.cost, self._counting.window)
            for demand, tally in zip(demands, tallies, strict=True)
        ]
        longest = max(waits)
        if longest == 0:
            return
        subject = demands[waits.index(longest)].subject
        seconds = ceil(longest)
        raise TooMany(
            f"{_SENTENCES[subject]} Go on in {seconds} {'second' if seconds == 1 else 'seconds'}.",
            retry_after=longest,
            allowances=self._allowances(demands, tallies, admitted=False),
        )

    def _allowances(
        self, demands: Sequence[_Demand], tallies: Sequence[Tally], *, admitted: bool
    ) -> tuple[Allowance, ...]:
        """Return what is left of each resource where the least of it is left."""
        tightest: dict[Resource, Allowance] = {}
        for demand, tally in zip(demands, tallies, strict=True):
            found = self._allowance(demand, tally, admitted=admitted)
            known = tightest.get(demand.resource)
            if known is None or found.remaining < known.remaining:
                tightest[demand.resource] = found
        return tuple(tightest.values())

    def _allowance(self, demand: _Demand, tally: Tally, *, admitted: bool) -> Allowance:
        window, charge = self._counting.window, demand.charge
        if admitted:
            left = tally.left if tally.previous or tally.current else float(window)
            tally = Tally(tally.previous, tally.current + charge.cost, left)
        return Allowance(
            resource=demand.resource,
            limit=charge.limit,
            window=window,
            remaining=max(0, charge.limit - tally.used(window)),
            more_in=tally.wait(charge.limit, 1, window),
            all_in=tally.wait(charge.limit, charge.limit, window),
        )


def _subjects(principal: Principal, session_id: str | None) -> list[tuple[str, str]]:
    subjects = [("person", principal.person_id)]
    if session_id is not None:
        subjects.append(("session", session_id))
    if principal.key_id is not None:
        subjects.append(("key", principal.key_id))
    if principal.role is Role.VISITOR:
        subjects.append(("address", group_of(principal.address)))
    return subjects
