"""What people may use: the one thing that other rooms and doors ask."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from parlour.features.limits.budgets import Budgets
from parlour.features.limits.plans import Plans
from parlour.features.limits.rates import Admission, Rates
from parlour.features.limits.store import ledger, money
from parlour.features.limits.store.money import Standing, Transaction
from parlour.features.limits.streams import Streams
from parlour.features.limits.values import Completion, Place, Row, UsageQuery
from parlour.infra.storage.database import WORKER, Database
from parlour.vocabulary.attempt import Attempt
from parlour.vocabulary.errors import Forbidden, NotFound, SessionFull, Unavailable
from parlour.vocabulary.ids import is_id, new_id
from parlour.vocabulary.principal import Principal, Role

COMPLETION_LIFETIME: Final = timedelta(minutes=15)  # well beyond the longest time-out of a whole answer

SWEEP_SECONDS: Final = 60.0

RememberPerson = Callable[[Transaction, Principal, datetime], None]


class Limits:
    """Rates, budgets, plans, open streams, and the ledger."""

    def __init__(
        self,
        *,
        database: Database,
        rates: Rates,
        budgets: Budgets,
        plans: Plans,
        streams: Streams,
        remember: RememberPerson,
        session_tokens: int | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Keep to what the parts allow; one session may use ``session_tokens`` in all."""
        self._database = database
        self._rates = rates
        self.budgets = budgets
        self._plans = plans
        self.streams = streams
        self._remember = remember
        self._session_tokens = session_tokens
        self._now = now

    async def admit(self, principal: Principal, *, session_id: str | None, tokens: int) -> Admission:
        """Let a request in that makes the server work, or raise TooMany. ``tokens`` is an estimate."""
        return await self._rates.admit(principal, session_id=session_id, tokens=tokens)

    async def admit_stranger(self, address: str) -> Admission:
        """Let somebody at an address have a new identity, or raise TooMany."""
        return await self._rates.admit_stranger(address)

    async def settle(self, admission: Admission, tokens: int) -> None:
        """Charge the tokens that an admitted request really used."""
        await self._rates.settle(admission, tokens)

    def check_session(self, tokens_used: int) -> None:
        """Raise SessionFull when a session has used all that one may."""
        if self._session_tokens is not None and tokens_used >= self._session_tokens:
            raise SessionFull

    def with_plan(self, principal: Principal) -> Principal:
        """Return a person with the plan that they have, so that it holds for all that is done for them."""
        plan = self._plans.name_of(principal)
        return principal if plan == principal.plan else replace(principal, plan=plan)

    def allowed_models(self, principal: Principal, models: Iterable[str]) -> frozenset[str] | None:
        """Return those of the models, as ``provider/name``, that a person may ask; None for all."""
        return self._plans.allowed(principal, models)

    def check_model(self, principal: Principal, model: str) -> None:
        """Raise Forbidden for a model that a person's plan does not have."""
        if not self._plans.of(principal).offers(model):
            raise Forbidden("Your plan does not include this model. Choose another one.")

    async def begin_completion(
        self,
        principal: Principal,
        *,
        assistant_id: str | None,
        worst_usd: Decimal,
        session_id: str | None = None,
        run_id: str | None = None,
    ) -> Completion:
        """Reserve the worst case of an answer that no run makes, or raise OverBudget.

        Small work names the run and session that it is done for; it counts as a part of that answer.
        """
        reservation = new_id()
        completion = Completion(
            run_id or reservation,
            principal.person_id,
            assistant_id,
            principal.key_id,
            session_id,
            reservation_id=reservation,
        )
        if self.budgets.apply(principal, assistant_id):
            now = self._now()

            def work(connection: Transaction) -> None:
                self._remember(connection, principal, now)
                self.budgets.reserve(
                    connection,
                    principal,
                    reservation,
                    assistant_id,
                    worst_usd,
                    now,
                    expires_at=now + COMPLETION_LIFETIME,
                )

            await self._database.write(principal, work)
        return completion

    async def end_completion(
        self, principal: Principal, completion: Completion, attempts: Sequence[Attempt]
    ) -> None:
        """Write the ledger of a completion and settle what was reserved for it."""
        now = self._now()

        def work(connection: Transaction) -> None:
            self._remember(connection, principal, now)
            self.budgets.settle(connection, completion, attempts, reservation_id=completion.reservation_id)

        await self._database.write(WORKER, work)

    async def attempts(self, principal: Principal, message_id: str) -> list[Row]:
        """Return the ledger of one answer; operators may see anybody's. Raises NotFound without one."""
        if not is_id(message_id):
            raise NotFound
        whose = None if principal.role.includes(Role.OPERATOR) else principal.person_id
        rows = await self._database.read(
            principal, lambda connection: ledger.of_message(connection, message_id, person_id=whose)
        )
        if not rows:
            raise NotFound
        return rows

    async def usage(self, principal: Principal, query: UsageQuery) -> list[Row]:
        """Return sums over what was used."""
        return await self._database.read(principal, lambda connection: ledger.usage(connection, query))

    async def own_budgets(self, principal: Principal) -> list[tuple[Place, Standing | None]]:
        """Return one's own budgets of this day and month, with what is spent and reserved where anything is.

        Visitors see no figures: theirs say what the owner pays for strangers.
        """
        places = self.budgets.places(principal, None, self._now())
        own = [place for place in places if place.scope == "person" and principal.role is not Role.VISITOR]
        found = await self._database.read(principal, lambda connection: money.standing(connection, own))
        return [(place, found.get(place[:3])) for place in own]

    async def keep_sweeping(self) -> None:
        """Sweep now and then, for as long as the server lives."""
        while True:
            with suppress(Unavailable):  # then later
                await self.sweep()
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Settle what nobody settled in time, and forget budgets of long ago."""
        now = self._now()

        def work(connection: Transaction) -> int:
            money.forget(connection, now)
            return money.settle_expired(connection, now)

        while await self._database.write(WORKER, work) == money.SWEEP_AT_ONCE:
            pass
