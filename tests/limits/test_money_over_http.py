"""Money as clients and owners meet it: budgets before the call, the ledger after it (M-7, B-3, B-4, P-17)."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from parlour.features.limits.tables import reservations, spendings
from parlour.features.people.api_keys import NewKey
from parlour.infra.storage.database import WORKER, Database
from parlour.infra.storage.opening import open_database
from parlour.settings import Settings
from parlour.settings.limits import BudgetSettings, PlanSettings, PriceSettings
from parlour.vocabulary.principal import Role, Scope
from tests.fakes.provider import FakeProvider
from tests.harness.databases import BACKENDS, MakeUrl
from tests.harness.process import ServerProcess
from tests.harness.serving import Answer, Person, Served, serving, settings
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

PRICED = {"prices": {"openai_compatible/fake": PriceSettings(input=Decimal(0), output=Decimal(12))}}
LONG = "[[n=4000;dt=0.02]] Tell me everything, number {}."


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as running:
        yield running


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, make_url: MakeUrl) -> str:
    """A database of each kind."""
    return make_url(request.param)


def priced(folder: Path, provider: FakeProvider, url: str, **budgets: str) -> Settings:
    limits = BudgetSettings(**{name: Decimal(value) for name, value in budgets.items()})
    return settings(folder, provider=provider, url=url, budgets=limits).model_copy(update=PRICED)


async def somebody(served: Served, role: Role = Role.USER, email: str = "a@example.org") -> Person:
    entrance = await served.parlour.people.token_for_script(role, email)
    return Person(served, entrance.principal.person_id, entrance.token.text)


async def reserved(database: Database) -> list[Decimal]:
    """What is reserved now, for each run."""
    return await database.read(
        WORKER, lambda c: list(c.execute(select(reservations.c.amount)).scalars().all())
    )


async def standing(database: Database) -> tuple[Decimal, Decimal]:
    """What is spent and reserved in all, over the budgets of one scope."""
    rows = await database.read(WORKER, lambda c: c.execute(select(spendings)).all())
    assert len({row.scope for row in rows}) == 1
    return sum((row.spent for row in rows), Decimal(0)), sum((row.reserved for row in rows), Decimal(0))


def calls(provider: FakeProvider) -> int:
    return sum("Tell me everything" in str(call.messages) for call in provider.requests)


async def test_of_fifty_at_once_only_those_reach_the_model_for_whom_there_is_money(
    tmp_path: Path, provider: FakeProvider, url: str
) -> None:
    """B-4"""
    async with serving(priced(tmp_path, provider, url, day="2")) as served:
        people = [await served.visitor() for _ in range(10)]

        async def begin(number: int) -> Answer | None:
            """Begin an answer and leave it running; return a refusal."""
            person = people[number % 10]
            async with person.stream(LONG.format(number)) as stream:
                if stream.response.status == 200:
                    await stream.begun()
                    return None
                if stream.response.status == 503:  # a busy database: whoever is told to comes again
                    await asyncio.sleep(int(stream.response.headers.get("Retry-After", "1")))
                    return await begin(number)
                body = await stream.response.read()
                return Answer(stream.response.status, stream.response.headers, body)

        outcomes = await asyncio.gather(*(begin(number) for number in range(50)))
        passed, refused = outcomes.count(None), [each for each in outcomes if each is not None]
        amounts = await reserved(served.parlour.database)
        assert passed == len(amounts) == int(2 / amounts[0]) == 10
        assert calls(provider) == 10
        assert {(each.status, each.json["code"]) for each in refused} == {(429, "over_budget")}
        assert all(1 <= int(each.headers["Retry-After"]) <= 86_400 for each in refused)
        assert "budget" in refused[0].json["detail"]
        assert "$" not in refused[0].json["detail"]


@pytest.mark.parametrize("way", ["stop", "delete", "delete all"])
async def test_an_answer_that_never_began_gives_its_reservation_back(
    tmp_path: Path, provider: FakeProvider, url: str, way: str
) -> None:
    """B-4: a message that waits in line has money reserved; whoever takes it back must not lose it"""
    async with serving(priced(tmp_path, provider, url, day="1")) as served:
        person, database = await served.visitor(), served.parlour.database

        async def are_reserved(count: int) -> bool:
            return len(await reserved(database)) == count

        async with person.stream("[[n=4000;dt=0.02]] Tell me everything.") as first:
            session_id = (await first.begun())["sessionId"]
            async with person.stream("And then?", sessionId=session_id):
                await until(lambda: are_reserved(2), 10, "both have money reserved")
                if way == "stop":
                    *_, waiting = await person.messages(session_id)
                    await person.ok("POST", f"/api/chat/runs/{waiting['runId']}/stop")
                elif way == "delete":
                    await person.ok("DELETE", f"/api/chat/sessions/{session_id}")
                else:
                    await person.ok("DELETE", "/api/chat/sessions")
                left = 1 if way == "stop" else 0
                await until(lambda: are_reserved(left), 10, "what waited gives it back")


async def test_what_was_reserved_survives_a_kill_and_is_settled_by_the_next_owner(
    tmp_path: Path, provider: FakeProvider
) -> None:
    """P-17, B-1"""
    (tmp_path / "parlour.toml").write_text('[prices."openai_compatible/fake"]\ninput = 0\noutput = 25\n')
    environment = {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_MODEL": "fake",
        "PARLOUR_BUDGET_DAY": "1",
    }
    question = "[[n=60;dt=0.05]] Tell me everything."
    async with ServerProcess(tmp_path, environment=environment) as server:
        await server.start()
        async with Client(server.url) as client:
            visitor = await client.visitor()
            begun = await asyncio.gather(*(client.begin(visitor, question) for _ in range(30)))
        database = open_database(server.database_url)
        amounts = await reserved(database)
        assert begun.count(200) == len(amounts) > 1
        server.kill()
        await server.exited()
        await server.start()
        async with Client(server.url) as client:
            assert await client.begin(visitor, question) == 429

            async def settled() -> bool:
                return not await reserved(database)

            await until(settled, 60, "all runs are taken up and settled")
            spent, left = await standing(database)
            assert left == 0
            assert 0 < spent < sum(amounts)
            assert await client.begin(visitor, question) == 200
        await database.close()


class Client:
    """Sends messages to a server process, and leaves at once."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> "Client":
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def visitor(self) -> dict[str, str]:
        """Come in; return the header that says who one is."""
        async with self._http.post(f"{self._url}/api/visitors") as answer:
            return {"Authorization": f"Bearer {(await answer.json())['token']}"}

    async def begin(self, visitor: dict[str, str], message: str) -> int:
        """Send a message, and return the status as soon as it is there."""
        body = {"message": message, "stream": True}
        async with self._http.post(f"{self._url}/api/chat", json=body, headers=visitor) as answer:
            return answer.status


async def test_usage_and_the_ledger_tell_what_was_used(
    tmp_path: Path, provider: FakeProvider, url: str
) -> None:
    """M-7, B-3"""
    async with serving(priced(tmp_path, provider, url, person_day="2")) as served:
        person, stranger = await somebody(served), await served.visitor()
        operator = await somebody(served, Role.OPERATOR, "o@example.org")
        first, second = await person.send("[[n=20]] One?"), await person.send("[[n=30]] Two?")
        await stranger.send("[[n=5]] Three?")

        async def titles_are_written() -> bool:
            return bool((await person.ok("GET", "/api/me/usage"))["items"][0]["attempts"] == 4)

        await until(titles_are_written, 10, "each new session has its title, by a call of its own")
        mine = await person.ok("GET", "/api/me/usage")
        (day,) = mine["items"]
        assert (day["answers"], day["attempts"], day["unpriced"]) == (2, 4, 0)
        assert day["costUsd"] > first["costUsd"] + second["costUsd"]
        assert day["outputTokens"] > first["usage"]["outputTokens"] + second["usage"]["outputTokens"]
        (budget,) = mine["budgets"]
        assert (budget["scope"], budget["limitUsd"], budget["reservedUsd"]) == ("person", 2.0, 0.0)
        assert budget["spentUsd"] == pytest.approx(day["costUsd"])
        assert (await stranger.ok("GET", "/api/me/usage"))["budgets"] == []
        by_session = await person.ok("GET", "/api/me/usage?by=session")
        assert {row["key"] for row in by_session["items"]} == {first["sessionId"], second["sessionId"]}

        for by, keys in {
            "provider": {"openai_compatible"},
            "model": {"openai_compatible/fake"},
            "assistant": {"default"},
            "person": {person.id, stranger.id},
        }.items():
            found = await operator.ok("GET", f"/api/admin/usage?by={by}")
            assert {row["key"] for row in found["items"]} == keys
            assert sum(row["answers"] for row in found["items"]) == 3
        assert (await person.request("GET", "/api/admin/usage")).status == 403
        assert (await person.ok("GET", "/api/me/usage?from=2020-01-01&to=2020-02-01"))["items"] == []
        for query in ("from=2020-01-01&to=2025-01-01", "from=2020-02-01&to=2020-01-01", "by=shoe"):
            assert (await person.request("GET", f"/api/me/usage?{query}")).status == 422


async def test_the_ledger_of_an_answer_is_its_persons_and_its_causes_the_operators(
    tmp_path: Path, provider: FakeProvider, url: str
) -> None:
    """B-3"""
    async with serving(priced(tmp_path, provider, url)) as served:
        person, stranger = await somebody(served), await served.visitor()
        operator = await somebody(served, Role.OPERATOR, "o@example.org")
        message = (await person.send("[[n=20]] One?"))["messageId"]
        path = f"/api/chat/messages/{message}/attempts"
        (line,) = (await person.ok("GET", path))["items"]
        assert (line["provider"], line["model"], line["status"]) == ("openai_compatible", "fake", "answered")
        assert line["why"]
        assert line["usage"]["outputTokens"] > 0
        assert line["costUsd"] > 0
        assert line["durationMs"] >= (line["ttftMs"] or 0)
        assert "cause" not in line
        assert "cause" in (await operator.ok("GET", path))["items"][0]
        assert (await stranger.request("GET", path)).status == 404
        assert (await person.request("GET", "/api/chat/messages/nothing/attempts")).status == 404


async def test_a_model_that_a_plan_does_not_have_is_refused(tmp_path: Path, provider: FakeProvider) -> None:
    """M-8: allowances by plan"""
    plans = {"small": PlanSettings(models=("builtin/*",)), "large": PlanSettings(models=("openai_*",))}
    wanted = settings(tmp_path, provider=provider).model_copy(update={"plans": plans})
    async with serving(wanted) as served:
        answers = {}
        for plan in plans:
            answers[plan] = await with_plan(served, plan)
        assert (answers["small"].status, answers["small"].json["code"]) == (403, "forbidden")
        assert answers["large"].status == 200


async def with_plan(served: Served, plan: str) -> Answer:
    """Ask a certain model by an API key of a plan."""
    key = await served.parlour.people.key_for_script(
        f"{plan}@example.org", Role.USER, NewKey("a key", frozenset({Scope.CHAT}), None, plan)
    )
    person = Person(served, key.key.person_id, key.text)
    return await person.request(
        "POST", "/api/chat", body={"message": "Hello?", "model": "openai_compatible/fake"}
    )


async def test_the_worst_case_is_that_of_the_model_which_will_be_asked(
    tmp_path: Path, provider: FakeProvider, url: str
) -> None:
    """B-4: a session may have a dearer model than its messages name, and so may another try"""
    dear = {"openai_compatible/dear": PriceSettings(input=Decimal(0), output=Decimal(1200))}
    wanted = priced(tmp_path, provider, url, day="100")
    wanted = wanted.model_copy(
        update={
            "prices": PRICED["prices"] | dear,
            "openai": wanted.openai.model_copy(update={"more_models": "dear"}),
        }
    )
    async with serving(wanted) as served:
        person, database = await served.visitor(), served.parlour.database
        session_id = await person.session(model="openai/dear")
        async with person.stream("[[n=4000;dt=0.02]] Tell me.", sessionId=session_id) as stream:
            await stream.begun()
            (in_session,) = await reserved(database)
        async with person.stream("[[n=4000;dt=0.02]] Tell me.", model="openai/dear") as stream:
            await stream.begun()
            assert await reserved(database) == [in_session, in_session]
        assert in_session > Decimal("5")


async def test_what_is_free_is_answered_when_the_budget_is_used_up(
    tmp_path: Path, provider: FakeProvider, url: str
) -> None:
    async with serving(priced(tmp_path, provider, url, person_day="0.000001")) as served:
        person = await somebody(served)
        refusal = await person.request("POST", "/api/chat", body={"message": "One?"})
        assert (refusal.status, refusal.json["code"]) == (429, "over_budget")
        assert (await person.send("Hello!", model="builtin"))["provider"] == "builtin"
