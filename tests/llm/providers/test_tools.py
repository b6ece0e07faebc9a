"""Tools of every provider: calls come whole, results go back, and nothing of it depends on how it was cut."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parlour.llm.model import Prompt, Tool, ToolCall, Turn
from parlour.vocabulary.messages import FinishReason
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Call, calling, encoded
from tests.llm.asking import Answer, ask
from tests.llm.providers.kinds import KINDS, Kind, MakeModel, Provider

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", "Tells the weather of a city.", SCHEMA)
CLOCK = Tool("clock", "Tells the time.", {"type": "object", "properties": {}})
CITY = {"city": "Zürich — 日本 👩‍👩‍👧 \"'\\ \n", "days": [1, 2, {"deep": None}]}
LOOK = Call("weather", json.dumps(CITY, ensure_ascii=False), "call_a")
TIME = Call("clock", "{}", "call_b")


def prompt(directives: str, *later: Turn, choice: str | None = None) -> Prompt:
    """Return a question with tools to answer it."""
    turns = (Turn("user", f"How is it there? [[{directives}]]"), *later)
    return Prompt(system="Be kind.", turns=turns, tools=(WEATHER, CLOCK), tool_choice=choice)


def calls_of(answer: Answer) -> list[ToolCall]:
    """Return the tool calls of an answer."""
    return [event for event in answer.events if isinstance(event, ToolCall)]


def meant(call: ToolCall) -> tuple[str, object]:
    """Return what a call means, however it is written."""
    return call.name, json.loads(call.arguments)


@pytest.mark.parametrize("how", ["", ";split", ";whole"])
async def test_a_call_comes_whole(model: Provider, provider: FakeProvider, how: str) -> None:
    answer = await ask(model, prompt(calling(LOOK) + how))

    [call] = calls_of(answer)
    assert meant(call) == ("weather", CITY)
    assert call.id
    assert answer.text == ""
    assert answer.finish.reason is FinishReason.TOOL_CALLS
    assert answer.finish.usage is not None
    assert provider.requests[0].asked is not None
    assert provider.requests[0].asked.tools == ("weather", "clock")


async def test_calls_come_in_their_order_after_what_was_said(model: Provider) -> None:
    said = "Let me look that up. "
    answer = await ask(model, prompt(f"{calling(LOOK, TIME, LOOK)};preface={encoded(said)};dt=0.001"))

    assert [meant(call) for call in calls_of(answer)] == [("weather", CITY), ("clock", {}), ("weather", CITY)]
    assert answer.text == said
    assert answer.finish.reason is FinishReason.TOOL_CALLS


async def test_fifty_calls_at_once_are_fifty_calls(model: Provider) -> None:
    """F-024."""
    wanted = [
        Call("weather", json.dumps({"city": f"City {number}"}), f"call_{number}") for number in range(50)
    ]
    answer = await ask(model, prompt(calling(*wanted)))

    assert [meant(call)[1] for call in calls_of(answer)] == [json.loads(each.arguments) for each in wanted]
    assert len({call.id for call in calls_of(answer)}) == 50


ODD_CALLS = [
    pytest.param(kind, shape + split, id=f"{kind}-{shape}{split}")
    for kind in KINDS
    for shape in kind.call_shapes
    for split in ("", ";split")
]


@pytest.mark.parametrize(("kind", "shape"), ODD_CALLS, indirect=["kind"])
async def test_odd_shapes_of_calls_change_nothing(model: Provider, shape: str) -> None:
    """F-024: ids that are missing or doubled, pieces in any order, servers that say `stop`."""
    wanted = [LOOK] if "legacy" in shape else [LOOK, TIME]
    answer = await ask(model, prompt(f"{calling(*wanted)};shape={shape}"))

    calls = calls_of(answer)
    assert [meant(call) for call in calls] == [(each.name, json.loads(each.arguments)) for each in wanted]
    assert all(call.id for call in calls)
    assert len({call.id for call in calls}) == len(calls)
    assert answer.finish.reason is FinishReason.TOOL_CALLS


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(st.dictionaries(WORDS, VALUES, max_size=3), min_size=1, max_size=3))
async def test_any_arguments_arrive(model: Provider, arguments: list[dict[str, object]]) -> None:
    wanted = [Call("weather", json.dumps(each), f"call_{at}") for at, each in enumerate(arguments)]
    answer = await ask(model, prompt(calling(*wanted)))

    assert [meant(call)[1] for call in calls_of(answer)] == arguments


async def test_results_go_back_and_the_question_is_answered(model: Provider, provider: FakeProvider) -> None:
    """Two rounds of calls: each result stands with its call, and the fake refuses what its API would."""
    directives = calling(LOOK, TIME) + ";rounds=2;n=5"
    turns: list[Turn] = []
    for _ in range(2):
        calls = calls_of(await ask(model, prompt(directives, *turns)))
        assert [call.name for call in calls] == ["weather", "clock"]
        results = [Turn("tool", f"Result of {call.name}: 21 °C", tool_call_id=call.id) for call in calls]
        turns += [Turn("assistant", "One moment.", tool_calls=tuple(calls)), *results]
    answer = await ask(model, prompt(directives, *turns))

    assert len(answer.text.split()) == 5
    assert answer.finish.reason is FinishReason.STOP
    body = json.dumps(provider.requests[-1].body, ensure_ascii=False)
    assert body.count("Result of weather: 21 °C") == 2
    assert body.count("Zürich") == 2


async def test_an_answer_after_results_goes_on_where_it_broke(
    model: Provider, provider: FakeProvider
) -> None:
    first = await ask(model, prompt(calling(LOOK)))
    [call] = calls_of(first)
    later = (
        Turn("assistant", "", tool_calls=(call,)),
        Turn("tool", "21 °C", tool_call_id=call.id),
    )
    whole = (await ask(model, prompt(calling(LOOK), *later))).text
    asked = prompt(calling(LOOK), *later)
    rest = await ask(model, Prompt(asked.system, asked.turns, partial=whole[:10], tools=asked.tools))

    assert whole[:10] + rest.text == whole


async def test_a_call_that_another_provider_made_is_understood(make_model: MakeModel) -> None:
    """Fallback in the middle of a tool loop: ids and signatures are then none of this provider's."""
    call = ToolCall("functions.weather:0/§", "weather", '{"city": "Bern"}')
    later = (Turn("assistant", "", tool_calls=(call,)), Turn("tool", "21 °C", tool_call_id=call.id))
    answer = await ask(make_model(), prompt("n=3", *later))

    assert len(answer.text.split()) == 3


async def test_arguments_that_are_no_json_are_sent_back_without_harm(make_model: MakeModel) -> None:
    call = ToolCall("call_a", "weather", '{"city": "Be')
    later = (Turn("assistant", "", tool_calls=(call,)), Turn("tool", "No JSON.", tool_call_id=call.id))

    assert (await ask(make_model(), prompt("n=3", *later))).text


@pytest.mark.parametrize("choice", [None, "auto", "none", "required", "weather"])
async def test_a_wish_about_tools_is_passed_on(
    model: Provider, provider: FakeProvider, kind: Kind, choice: str | None
) -> None:
    if not kind.chooses_tools:
        pytest.skip("it can only be offered fewer tools")
    assert (await ask(model, prompt("n=3", choice=choice))).text

    body = json.dumps(provider.requests[0].body)
    words = {"required": ("required", "any"), "weather": ('"weather"',), None: ("",)}.get(choice, (choice,))
    assert any(str(word) in body.lower() for word in words)
