"""The laws of the protocol, for every model there is: those of the providers, and the built-in one."""

import pytest

from parlour.llm.model import Finish, Image, Model, Prompt, Sources, Text, Tool, Turn
from parlour.llm.providers.builtin import BuiltinModel
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.messages import FinishReason
from tests.llm.asking import ask
from tests.llm.providers.kinds import KINDS, Kind, MakeModel

pytestmark = pytest.mark.anyio

PROMPT = Prompt(
    system="Be kind.",
    turns=(
        Turn("user", "Hello!"),
        Turn("assistant", "Hello, what would you like to know?"),
        Turn("user", "What do returns cost?", images=(Image("image/png", b"png"),)),
    ),
    passages=(Passage("p", "d", "Fees", (), "Returns cost 4.95. They take two days."),),
    max_tokens=500,
    temperature=0.5,
    stop=("END",),
    tools=(Tool("weather", "Tells the weather.", {"type": "object", "properties": {}}),),
)


@pytest.fixture(params=[*KINDS, None], ids=lambda kind: str(kind or "builtin"))
def kind(request: pytest.FixtureRequest) -> Kind | None:
    """Return the provider that this test is about; None is the built-in one."""
    found: Kind | None = request.param
    return found


@pytest.fixture
def every_model(kind: Kind | None, request: pytest.FixtureRequest) -> Model:
    """Return a model of any kind."""
    if kind is None:
        return BuiltinModel(pace=0)
    make: MakeModel = request.getfixturevalue("make_model")
    return make()


async def test_an_answer_is_text_and_one_end(every_model: Model) -> None:
    answer = await ask(every_model, PROMPT)
    *said, end = answer.events

    assert isinstance(end, Finish)
    assert end.reason is FinishReason.STOP
    assert end.usage is not None
    assert end.usage.output_tokens > 0
    assert said
    assert all(isinstance(event, Text | Sources) for event in said)
    assert all(answer.pieces)


async def test_equal_prompts_are_answered_alike_and_each_anew(every_model: Model) -> None:
    assert (await ask(every_model, PROMPT)).text == (await ask(every_model, PROMPT)).text != ""


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
async def test_what_was_said_and_what_follows_are_the_whole(every_model: Model, share: float) -> None:
    whole = (await ask(every_model, PROMPT)).text
    cut = int(len(whole) * share)
    begun = Prompt(PROMPT.system, PROMPT.turns, passages=PROMPT.passages, partial=whole[:cut])
    rest = await ask(every_model, begun)

    assert whole[:cut] + rest.text == whole
    assert rest.finish.reason is FinishReason.STOP


async def test_an_answer_may_be_left_at_any_time(every_model: Model) -> None:
    stream = every_model.stream(PROMPT)
    await anext(stream)
    await stream.aclose()

    with pytest.raises(StopAsyncIteration):
        await anext(stream)
