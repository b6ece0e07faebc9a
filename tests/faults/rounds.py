"""Rounds of load, ``kill -9`` at a random moment, restart and check."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.fakes.provider import FakeProvider
from tests.faults.checker import check_all, check_history, check_kept
from tests.faults.world import Door, Sent, Visitor
from tests.harness.client import Api
from tests.harness.process import ServerProcess
from tests.harness.stored import database_file, integrity, read_stored

LOAD_SECONDS = 1.5  # the kill comes at any moment of it, all equally likely
LEASE_SECONDS = 10.0
ANSWER_SECONDS = 15.0  # P-04: once it serves again where it is alone, after the end of the lease where not


@dataclass(slots=True)
class Figures:
    """What came of the rounds so far."""

    rounds: int = 0
    acknowledged: int = 0
    open_at_kill: int = 0
    """Messages that had no answer yet when the server was killed."""
    unknown_at_kill: int = 0
    """Of those, messages that the sender did not know to be kept."""
    repeated: int = 0
    taken_over: int = 0
    rewound: int = 0
    """Readers who were told to forget something."""
    slowest_start: float = 0.0
    """Seconds until a new process served."""
    slowest: float = 0.0
    """Seconds from then to the last answer to a message from before."""
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Tell it in one line."""
        lost = sum(finding.startswith("lost") for finding in self.findings)
        doubled = sum(finding.startswith("doubled") for finding in self.findings)
        return (
            f"{self.rounds} rounds, {self.acknowledged} messages acknowledged, {lost} lost, "
            f"{doubled} doubled, {len(self.findings)} findings; {self.open_at_kill} unanswered at a kill, "
            f"of which {self.unknown_at_kill} unacknowledged, {self.repeated} sent again, "
            f"{self.taken_over} runs taken over, {self.rewound} readers rewound, "
            f"slowest start {self.slowest_start:.1f} s, slowest answer {self.slowest:.1f} s after that"
        )


async def kill_rounds(
    server: ServerProcess,
    provider: FakeProvider,
    *,
    rounds: int,
    seed: int,
    visitors: int = 5,
    tell: Callable[[str], None] = print,
) -> Figures:
    """Run ``rounds``; stop at the first one with a finding. ``seed`` decides who does what, and when."""
    figures = Figures()
    async with AsyncExitStack() as stack:
        await server.start()
        apis = [await stack.enter_async_context(Api(server.url)) for _ in range(visitors)]
        rig = _Rig(server, provider, apis, seed)
        while figures.rounds < rounds and not figures.findings:
            figures.rounds += 1
            await rig.round(figures)
            if figures.findings:
                errors = [line for line in server.log.splitlines() if '"error"' in line]
                figures.findings += ["the server's last errors:", *errors[-10:]]
            if figures.rounds % 10 == 0 or figures.rounds == rounds or figures.findings:
                tell(f"seed {seed}: {figures}")
    return figures


class _Rig:
    """The server and the people who use it while it is killed."""

    def __init__(self, server: ServerProcess, provider: FakeProvider, apis: list[Api], seed: int) -> None:
        self._server = server
        self._provider = provider
        self._apis = {api.person_id: api for api in apis}
        self._seed = seed
        self._door = Door(server.url)
        self._history: list[Sent] = []
        self._visitors = [Visitor(api, self._door, self._history) for api in apis]
        alone = database_file(server.database_url) is not None
        self._limit = ANSWER_SECONDS if alone else LEASE_SECONDS + ANSWER_SECONDS

    async def round(self, figures: Figures) -> None:
        """Let people in, kill, restart, let them come back, and check."""
        chance = random.Random(f"{self._seed} {figures.rounds}")
        already = len(self._history)
        self._door.closing.clear()
        self._door.open.set()
        visits = [
            asyncio.create_task(visitor.visit(random.Random(f"{self._seed} {figures.rounds} {number}")))
            for number, visitor in enumerate(self._visitors)
        ]
        try:
            await asyncio.sleep(chance.uniform(0.02, LOAD_SECONDS))  # the random moment itself
            waiting, restarted = await self._kill_and_restart(figures)
            self._door.open.set()
            await asyncio.gather(*visits)
        finally:
            for visit in visits:
                visit.cancel()
        slowest = max(((sent.answered_at or restarted) - restarted for sent in waiting), default=0.0)
        figures.slowest = max(figures.slowest, slowest)
        if slowest > self._limit:
            figures.findings.append(f"an answer took {slowest:.1f} s after the restart")
        self._count(figures, waiting, self._history[already:])
        await self._check(figures, waiting, self._history[already:])

    async def _kill_and_restart(self, figures: Figures) -> tuple[list[Sent], float]:
        """Return the messages that had no answer at the kill, and when the new process served."""
        self._door.open.clear()
        self._door.closing.set()
        self._server.kill()
        await self._server.exited()
        waiting = [sent for sent in self._history if sent.answered_at is None]
        killed = time.monotonic()
        await self._server.start()
        restarted = time.monotonic()
        figures.slowest_start = max(figures.slowest_start, restarted - killed)
        # Before anybody comes back: what was acknowledged is there, what was not may be.
        figures.findings += check_kept(self._history, await read_stored(self._server.database_url))
        figures.unknown_at_kill += sum(not sent.acknowledged for sent in waiting)
        return waiting, restarted

    def _count(self, figures: Figures, waiting: list[Sent], new: list[Sent]) -> None:
        figures.acknowledged += sum(sent.acknowledged for sent in new)
        figures.open_at_kill += len(waiting)
        figures.repeated += sum(sent.attempts > 1 for sent in new)
        figures.rewound += sum("rewind" in told.names for sent in new for told in sent.readers)

    async def _check(self, figures: Figures, waiting: list[Sent], new: list[Sent]) -> None:
        url = self._server.database_url
        stored = await read_stored(url)
        figures.taken_over += sum(run.fence > 1 for run in stored.runs) - figures.taken_over
        figures.findings += check_all(self._history, stored, self._provider.requests)
        self._provider.requests.clear()
        if (said := await integrity(url)) != "ok":
            figures.findings.append(f"the database file is damaged: {said}")
        for sent in waiting:
            # Somebody who comes late reads the same.
            told = await self._apis[sent.person_id].whole_run(sent.run_id or "")
            if told.text != stored.message(sent.message_id or "").content:
                figures.findings.append(f"a late reader has {told.text!r}: {sent}")
        for session_id, person_id in {(sent.session_id or "", sent.person_id) for sent in new}:
            told_history = await self._apis[person_id].history(session_id)
            figures.findings += check_history(session_id, told_history, stored)
