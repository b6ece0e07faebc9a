"""What a run that outlived its owners leaves in the books (B-1, B-3)."""

import pytest
from sqlalchemy import select, update

from parlour.features.chat.tables import run_events, runs
from parlour.infra.storage.database import WORKER
from parlour.vocabulary.ids import new_id
from tests.harness.serving import Person, Served
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio


async def test_a_run_that_ends_all_its_owners_fails_and_its_calls_are_in_the_ledger(
    served: Served, visitor: Person
) -> None:
    async with visitor.stream("Tell me [[n=400;dt=0.05]]") as stream:
        begun = await stream.begun()
        database = served.parlour.database

        async def is_stored() -> bool:
            of_run = select(run_events.c.run_id).where(run_events.c.run_id == begun["runId"])
            return bool(await database.read(WORKER, lambda connection: connection.execute(of_run).first()))

        await until(is_stored, 10, "the journal has its beginning")
        # As if others had taken it up again and again and died: the next owner is one too many.
        await database.write(
            WORKER,
            lambda connection: connection.execute(
                update(runs).where(runs.c.id == begun["runId"]).values(owner=new_id(), fence=5, lease_until=0)
            ),
        )

        async def has_failed() -> bool:
            return bool((await visitor.run(begun["runId"]))["status"] == "failed")

        await until(has_failed, 20, "the reaper gives it up")
    items = (await visitor.ok("GET", f"/api/chat/messages/{begun['messageId']}/attempts"))["items"]
    assert [item["status"] for item in items] == ["lost"]
