"""Texts made into vectors, for users and their programs: within limits, with a line in the ledger (T-5)."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from parlour.features.assistants.books import Books
from parlour.features.limits.rates import Admission
from parlour.features.limits.service import Limits
from parlour.llm.cost import Prices
from parlour.llm.embeddings import Embedder, Embeddings
from parlour.llm.tokens import estimate_tokens, tokens_at_most
from parlour.vocabulary.attempt import Attempt, AttemptStatus
from parlour.vocabulary.errors import ModelMissing, ProviderError, TooExpensive
from parlour.vocabulary.principal import Principal
from parlour.vocabulary.usage import Usage

ASKED_FOR = "You asked for it."


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of their texts, who made them, and how the caller's limits stand."""

    model: str
    embeddings: Embeddings
    admission: Admission


class Embedding:
    """Lets people ask the embedding models of this server."""

    def __init__(
        self,
        *,
        embedders: Callable[[], Sequence[Embedder]],
        limits: Limits,
        prices: Prices,
        books: Books,
        mask: Callable[[Sequence[str]], Awaitable[Sequence[str]]],
        named: Callable[[str], str],
        heard: Callable[[Attempt], None],
    ) -> None:
        """Ask those of ``embedders`` within ``limits``; ``mask`` takes out what must not leave the server.

        What it took is written into ``books``, and ``heard`` is told of every call. ``named`` returns the
        name that a model carries, given any that it is known by.
        """
        self._embedders = embedders
        self._limits = limits
        self._prices = prices
        self._books = books
        self._mask = mask
        self._named = named
        self._heard = heard

    def offered(self, principal: Principal) -> list[Embedder]:
        """Return the models that a person may ask."""
        embedders = self._embedders()
        allowed = self._limits.allowed_models(principal, map(ref_of, embedders))
        return [each for each in embedders if allowed is None or ref_of(each) in allowed]

    async def embed(
        self, principal: Principal, texts: Sequence[str], *, model: str, dimensions: int | None
    ) -> Embedded:
        """Return a vector for each text. ``model`` is ``provider/name``, a provider, or a bare name.

        Raises ModelMissing, Forbidden, TooMany, OverBudget, and what the provider raises.
        """
        embedder = self._find(principal, model)
        self._limits.check_model(principal, ref_of(embedder))
        told = sum(map(estimate_tokens, texts))
        worst = self._worst_usd(principal, embedder, sum(map(tokens_at_most, texts)))
        admission = await self._limits.admit(principal, session_id=None, tokens=told)
        completion = await self._limits.begin_completion(principal, assistant_id=None, worst_usd=worst)
        attempt = Attempt(
            embedder.provider, embedder.name, AttemptStatus.STOPPED, ASKED_FOR, datetime.now(UTC)
        )
        begun = time.perf_counter()
        try:
            embeddings = await embedder.embed(await self._mask(texts), dimensions=dimensions)
            usage = Usage(embeddings.tokens, estimated=embeddings.estimated)
            attempt = replace(attempt, status=AttemptStatus.ANSWERED, usage=usage)
        except ProviderError as error:
            attempt = replace(
                attempt, status=AttemptStatus.FAILED, usage=Usage(), error=error.code, cause=error.cause
            )
            raise
        finally:
            usage = attempt.usage or Usage(told, estimated=True)
            attempt = replace(
                attempt,
                usage=usage,
                duration_ms=round((time.perf_counter() - begun) * 1000),
                cost_usd=self._prices.cost_usd(embedder.provider, embedder.name, usage),
            )
            self._heard(attempt)
            await self._books.write(partial(self._limits.end_completion, principal, completion, [attempt]))
        await self._limits.settle(admission, embeddings.tokens)
        return Embedded(ref_of(embedder), embeddings, admission)

    def _find(self, principal: Principal, model: str) -> Embedder:
        named = self._named(model)
        for embedder in self._embedders():
            if named in (ref_of(embedder), embedder.provider) or model == embedder.name:
                return embedder
        if self.offered(principal):
            raise ModelMissing(
                "There is no such embedding model here. GET /v1/models lists those that there are."
            )
        raise ModelMissing("No embedding model is set up here. The operator sets PARLOUR_EMBEDDING_MODEL.")

    def _worst_usd(self, principal: Principal, embedder: Embedder, tokens: int) -> Decimal:
        if not self._limits.budgets.apply(principal, None):
            return Decimal(0)
        worst = self._prices.worst_case_usd(embedder.provider, embedder.name, tokens, 0)
        if worst is None:
            raise TooExpensive(cause=f"the price of {ref_of(embedder)} is unknown, and there are budgets")
        return worst


def ref_of(embedder: Embedder) -> str:
    """Return a model's id: ``provider/name``."""
    return f"{embedder.provider}/{embedder.name}"
