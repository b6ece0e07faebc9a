"""What people, operators and providers see of moderation, through the running server (M-10, B-8)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from parlour.settings.moderation import ModerationSettings
from parlour.vocabulary.principal import Role
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.harness.serving import Person, Served, answers, serving, settings
from tests.moderation.fake import FakeModeration

pytestmark = pytest.mark.anyio

REFUSAL = "Let us keep to questions about the museum."
STOP = "Let me stop here."
MAIL = "ada@example.com"


@pytest.fixture
async def model() -> AsyncIterator[FakeProvider]:
    """The model that answers."""
    async with FakeProvider() as running:
        yield running


@asynccontextmanager
async def served(folder: Path, model: FakeProvider, **wanted: Any) -> AsyncIterator[Served]:  # noqa: ANN401
    """Run a server whose owner wants this moderation."""
    rules = folder / "rules.txt"
    rules.write_text("# of the museum\ncasino\n/awful+ly/\n", encoding="utf-8")
    moderation = ModerationSettings(rules=rules, input_refusal=REFUSAL, output_refusal=STOP, **wanted)
    async with serving(settings(folder, provider=model, moderation=moderation)) as running:
        yield running


async def flags(running: Served) -> list[dict[str, Any]]:
    """Return what an operator sees."""
    entrance = await running.parlour.people.token_for_script(Role.OPERATOR, "o@example.org")
    operator = Person(running, entrance.principal.person_id, entrance.token.text)
    found: list[dict[str, Any]] = (await operator.ok("GET", "/api/admin/flags"))["items"]
    return found


def prompts(model: FakeProvider) -> str:
    """Return everything that any model was ever sent."""
    return str([request.body for request in model.requests])


def saying(text: str) -> str:
    """Return a directive that makes the model say this."""
    return f"[[text={encoded(text)}]]"


async def test_a_blocked_message_is_answered_kindly_and_no_model_hears_of_it(
    tmp_path: Path, model: FakeProvider
) -> None:
    async with served(tmp_path, model, input="block") as running:
        visitor = await running.visitor()
        reply = await visitor.send("Where is the casino?")
        stored = await visitor.message(reply["sessionId"], reply["messageId"])
        assert (stored["content"], stored["status"]) == (REFUSAL, "completed")
        await visitor.send("And the library?", sessionId=reply["sessionId"])
        assert answers(model, "And the library?")
        assert "casino" not in prompts(model)
        [flag] = await flags(running)
        assert (flag["stage"], flag["rule"], flag["action"]) == ("input", "own: casino", "block")
        assert (flag["messageId"], flag["runId"]) == (reply["userMessageId"], reply["runId"])


async def test_a_blocked_message_streams_to_an_end_that_says_filtered(
    tmp_path: Path, model: FakeProvider
) -> None:
    async with served(tmp_path, model, input="block") as running:
        visitor = await running.visitor()
        async with visitor.stream("casino?") as stream:
            reader = await stream.rest()
        assert reader.text == REFUSAL
        [done] = [frame for frame in reader.frames if frame.event == "done"]
        assert done.value["finishReason"] == "filtered"


async def test_a_bad_sentence_is_taken_back_from_every_reader_and_from_what_is_stored(
    tmp_path: Path, model: FakeProvider
) -> None:
    async with served(tmp_path, model, output="block") as running:
        visitor = await running.visitor()
        async with visitor.stream(f"Well? {saying('It is fine. It is awfully bad. Bye.')}") as stream:
            reader = await stream.rest()
        assert reader.text == f"It is fine. \n\n{STOP}"
        [done] = [frame for frame in reader.frames if frame.event == "done"]
        assert done.value["finishReason"] == "filtered"
        begun = await stream.begun()
        stored = await visitor.message(begun["sessionId"], begun["messageId"])
        assert stored["content"] == reader.text
        [flag] = await flags(running)
        assert (flag["stage"], flag["rule"], flag["action"]) == ("output", "own: /awful+ly/", "block")


async def test_a_bad_sentence_does_not_stay_because_the_model_broke_off_in_it(
    tmp_path: Path, model: FakeProvider
) -> None:
    async with served(tmp_path, model, output="block") as running:
        visitor = await running.visitor()
        script = f"[[text={encoded('It is fine. This is awfully bad and it goes on')};rst@6]]"
        async with visitor.stream(f"Well? {script}") as stream:
            reader = await stream.rest()
        assert "It is fine." in reader.text
        assert "awfully" not in reader.text
        begun = await stream.begun()
        assert (await visitor.message(begun["sessionId"], begun["messageId"]))["content"] == reader.text
        assert [flag["stage"] for flag in await flags(running)] == ["output"]


async def test_personal_data_never_reaches_the_model_and_is_in_the_answer(
    tmp_path: Path, model: FakeProvider
) -> None:
    # A script of the fake model looks like a key.
    async with served(tmp_path, model, masking="e-mail, phone") as running:
        visitor = await running.visitor()
        reply = await visitor.send(f"I am {MAIL}. {saying('Dear [e-mail 1], welcome.')}")
        stored = await visitor.message(reply["sessionId"], reply["messageId"])
        assert stored["content"] == f"Dear {MAIL}, welcome."
        await visitor.send("Who am I?", sessionId=reply["sessionId"])
        await running.parlour.turns.finish_all(5)
        assert answers(model, "Who am I?")
        assert MAIL not in prompts(model)
        receipts = [flag for flag in await flags(running) if flag["rule"] == "personal data"]
        assert [receipt["detail"] for receipt in receipts] == [{"e-mail": 1}, {"e-mail": 1}]


async def test_a_provider_judges_what_comes_in_and_what_goes_out(tmp_path: Path, model: FakeProvider) -> None:
    async with FakeModeration() as judge:
        wanted = {
            "input": "block",
            "output": "block",
            "ask_provider": "input, output",
            "provider_url": judge.base_url,
            "provider_key": SecretStr("sk-judge"),
        }
        async with served(tmp_path, model, **wanted) as running:
            visitor = await running.visitor()
            reply = await visitor.send("I feel hate")
            assert (await visitor.message(reply["sessionId"], reply["messageId"]))["content"] == REFUSAL
            reply = await visitor.send(f"Hello {saying('Good day. Now some violence for you.')}")
            stored = await visitor.message(reply["sessionId"], reply["messageId"])
            assert stored["content"] == f"Good day. \n\n{STOP}"
            assert {flag["rule"] for flag in await flags(running)} == {"provider: hate", "provider: violence"}
            assert set(judge.keys) == {"Bearer sk-judge"}


async def test_an_open_house_answers_while_the_judge_is_away(tmp_path: Path, model: FakeProvider) -> None:
    for unreachable, answer in (("allow", "Good day."), ("refuse", REFUSAL)):
        folder = tmp_path / unreachable
        folder.mkdir()
        wanted = {"input": "block", "ask_provider": "input", "provider_url": "http://127.0.0.1:1/v1"}
        async with served(folder, model, when_unreachable=unreachable, **wanted) as running:
            visitor = await running.visitor()
            reply = await visitor.send(f"Hello {saying('Good day.')}")
            assert (await visitor.message(reply["sessionId"], reply["messageId"]))["content"] == answer


async def test_words_that_are_taken_out_reach_no_model_by_way_of_the_title(
    tmp_path: Path, model: FakeProvider
) -> None:
    async with served(tmp_path, model, input="mask") as running:
        visitor = await running.visitor()
        await visitor.send("Where is the casino in town?")
        await running.parlour.turns.finish_all(5)
        assert len(model.requests) == 2, "the answer and its title"
        assert "casino" not in prompts(model)


async def test_a_title_that_breaks_the_rules_is_dropped(tmp_path: Path, model: FakeProvider) -> None:
    async with served(tmp_path, model, output="flag") as running:
        visitor = await running.visitor()
        await visitor.send(f"How is it? {saying('It is awfully bad.')}")
        await visitor.send(f"And now? {saying('It is fine.')}")
        await running.parlour.turns.finish_all(5)
        assert len(model.requests) == 4, "two answers and their titles"
        titles = [session["title"] for session in await visitor.sessions()]
        assert titles[0] == "It is fine"
        assert titles[1].startswith("How is it?")
