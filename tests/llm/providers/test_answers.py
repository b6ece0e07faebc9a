"""What every provider must do: say what its model says, see what it is shown, go on, and stop when told."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parlour.llm.model import Image, Prompt, Text, Turn
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import BadKey, Garbled, ProviderError, Unreachable
from parlour.vocabulary.messages import FinishReason
from tests.fakes.answers import answer_pieces
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded, script_of
from tests.llm.asking import ask, question
from tests.llm.conftest import KEY
from tests.llm.providers.kinds import Kind, MakeModel, Provider

pytestmark = pytest.mark.anyio

PICTURE = Image("image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
MANY_TONGUES = 'Grüße — 日本語 — 👩‍👩‍👧 — שלום — \u2028 — \t»«\n\n```js\nlet a = "b\\n";\n```\n'


def whole_text(asked: str) -> str:
    """Return what the fake would say to ``asked``."""
    return "".join(answer_pieces(asked, script_of("fake", asked), []))


async def test_the_words_of_the_model_arrive(model: Provider, provider: FakeProvider, kind: Kind) -> None:
    asked = "Who are you? [[n=50]]"
    answer = await ask(model, asked)

    assert answer.text == whole_text(asked)
    assert answer.finish.reason is FinishReason.STOP
    assert answer.finish.usage is not None
    assert answer.finish.usage.output_tokens == 50
    [request] = provider.requests
    header, _, before = kind.key.partition(": ")
    assert request.service == kind.service
    assert request.headers[header] == before + KEY
    assert request.headers["accept-encoding"] == "identity"
    assert request.asked is not None
    assert (request.asked.model, request.asked.question, request.asked.stream) == ("fake", asked, True)


async def test_the_name_is_who_answers(model: Provider, kind: Kind) -> None:
    assert (model.provider, model.name) == (kind.name, "fake")


@pytest.mark.parametrize("how", ["", ";split", ";dt=0.001", ";whole"])
async def test_every_letter_arrives(model: Provider, how: str) -> None:
    answer = await ask(model, f"[[text={encoded(MANY_TONGUES)}{how}]]")

    assert answer.text == MANY_TONGUES


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300))
async def test_any_text_arrives(model: Provider, text: str) -> None:
    answer = await ask(model, f"[[text={encoded('>' + text)}]]")

    assert answer.text == ">" + text


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.FILTERED),
        ("something_new", FinishReason.STOP),
    ],
)
async def test_the_end_is_told_by_its_reason(model: Provider, finish: str, reason: FinishReason) -> None:
    for how in ("", ";whole"):
        assert (await ask(model, f"[[finish={finish}{how}]]")).finish.reason is reason


async def test_thoughts_are_paid_for_and_not_said(model: Provider) -> None:
    asked = "[[thoughts=7;n=3]]"
    answer = await ask(model, asked)

    assert answer.text == whole_text(asked)
    assert answer.finish.usage is not None
    assert answer.finish.usage.output_tokens == 10


async def test_pictures_arrive(model: Provider, provider: FakeProvider) -> None:
    other = Image("image/jpeg", b"\xff\xd8\xff" + b"x" * 1000)
    turns = (
        Turn("user", "What is this?", images=(PICTURE,)),
        Turn("assistant", "A picture."),
        Turn("user", "And these?", images=(other, PICTURE)),
    )
    answer = await ask(model, Prompt(system="See.", turns=turns))

    assert answer.text
    [request] = provider.requests
    assert request.asked is not None
    assert request.asked.images == (PICTURE.data, other.data, PICTURE.data)
    assert request.question == "And these?"


async def test_a_picture_without_a_word_is_a_question_too(model: Provider, provider: FakeProvider) -> None:
    answer = await ask(model, Prompt(system="", turns=(Turn("user", "", images=(PICTURE,)),)))

    assert answer.text
    assert provider.requests[0].asked is not None
    assert provider.requests[0].asked.images == (PICTURE.data,)


async def test_an_answer_goes_on_after_what_was_said(model: Provider, provider: FakeProvider) -> None:
    """FAULTS 4.1: what a broken answer has said is sent, wherever it was cut."""
    whole = (await ask(model, "Tell me more")).text
    for cut in (1, len(whole) // 2, len(whole) - 1):
        rest = await ask(model, question("Tell me more", partial=whole[:cut]))
        assert whole[:cut] + rest.text == whole
        assert provider.requests[-1].asked is not None
        assert provider.requests[-1].asked.partial == whole[:cut]

    assert {each.question for each in provider.requests} == {"Tell me more"}


async def test_an_answer_that_was_already_whole_just_ends(model: Provider) -> None:
    whole = (await ask(model, "Tell me more")).text
    answer = await ask(model, question("Tell me more", partial=whole))

    assert answer.text == ""
    assert answer.finish.reason is FinishReason.STOP


async def test_passages_come_with_the_newest_message_and_never_as_our_own_word(
    model: Provider, provider: FakeProvider
) -> None:
    """LLM01 and X-7: data is no instruction, and what was said before stays byte for byte the same."""
    passages = (Passage("p", "d", "Fees", (), "Returns cost 4.95."),)
    turns = (Turn("user", "Hi"), Turn("assistant", "Hello!"), Turn("user", "What do returns cost?"))
    await ask(model, Prompt(system="Be kind.", turns=turns, passages=passages))
    await ask(model, Prompt(system="Be kind.", turns=turns))

    with_passages, without = (each.asked for each in provider.requests)
    assert with_passages is not None
    assert without is not None
    assert "Returns cost 4.95." in str(with_passages.messages[-1])
    assert "Returns cost 4.95." not in str(with_passages.messages[:-1])
    assert "Returns cost" not in str(provider.requests[0].body.get("system", ""))
    assert with_passages.question == without.question == "What do returns cost?"


async def test_a_stopped_answer_before_its_first_word_is_passed_over(
    model: Provider, provider: FakeProvider
) -> None:
    """Providers that refuse empty messages must not refuse the whole conversation."""
    turns = (Turn("user", "One?"), Turn("assistant", ""), Turn("user", "Two?"))
    answer = await ask(model, Prompt(system="", turns=turns))

    assert answer.text
    assert "One?" in str(provider.requests[0].body)


async def test_what_is_no_text_in_a_prompt_is_mended(model: Provider) -> None:
    """A lone surrogate cannot be sent, and must not keep the rest from being sent."""
    turns = (Turn("user", "a\ud800b"), Turn("assistant", "c\udfff"), Turn("user", "d\0\ud800"))
    answer = await ask(model, Prompt(system="\ud800", turns=turns))

    assert answer.text


async def test_a_hundred_answers_at_once_are_not_mixed_up(model: Provider) -> None:
    questions = [f"Question number {number} [[n=30;dt=0.001]]" for number in range(100)]
    together = await asyncio.gather(*(ask(model, each) for each in questions))

    assert [each.text for each in together] == [whole_text(each) for each in questions]


async def test_the_next_question_takes_the_same_connection(model: Provider, provider: FakeProvider) -> None:
    for number in range(3):
        await ask(model, f"Question {number}")

    assert provider.connections_made == 1


@pytest.mark.parametrize("directive", ["n=9000;dt=0.01", "n=9;stall@3", "flood"])
async def test_closing_the_stream_closes_the_call(
    model: Provider, provider: FakeProvider, directive: str
) -> None:
    """C-5, P-08: stop is felt upstream within a second."""
    stream = model.stream(question(f"[[{directive}]]"))
    assert isinstance(await anext(stream), Text)
    await stream.aclose()

    await asyncio.wait_for(provider.requests[0].ended.wait(), 1)
    assert provider.requests[0].outcome == "reader gone"
    assert provider.open_connections == 0


@pytest.mark.parametrize("directive", ["hold=inf", "ttft=inf", "n=9000;dt=0.01"])
async def test_cancelling_the_task_closes_the_call(
    model: Provider, provider: FakeProvider, directive: str
) -> None:
    task = asyncio.create_task(ask(model, f"[[{directive}]]"))
    await provider.arrived.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    await asyncio.wait_for(provider.requests[0].ended.wait(), 1)
    assert provider.requests[0].outcome == "reader gone"


async def test_a_slow_reader_holds_the_provider_back(model: Provider, provider: FakeProvider) -> None:
    """F-020: what is not read is not fetched either, so memory stays bounded."""
    stream = model.stream(question("[[flood]]"))
    await anext(stream)
    await asyncio.wait_for(provider.held_back.wait(), 10)

    assert provider.requests[0].sent < 10_000
    await stream.aclose()


async def test_a_redirect_is_not_followed_with_the_key(model: Provider, provider: FakeProvider) -> None:
    """A-149: the key goes to the address the operator gave, and nowhere else."""
    async with FakeProvider() as elsewhere:
        answer = await ask(model, f"[[moved={encoded(elsewhere.root)}]]")

    assert isinstance(answer.error, ProviderError)
    assert len(provider.requests) == 1
    assert elsewhere.requests == []


@pytest.mark.parametrize("key", ["two\nlines", "ключ", "nul\0"])
async def test_a_key_that_no_header_can_carry_is_a_bad_key(
    make_model: MakeModel, provider: FakeProvider, key: str
) -> None:
    answer = await ask(make_model(api_key=key), "Hello?")

    assert isinstance(answer.error, BadKey)
    assert key not in str(answer.error.cause)
    assert provider.requests == []


async def test_without_a_key_no_header_is_sent(
    make_model: MakeModel, provider: FakeProvider, kind: Kind
) -> None:
    """A gateway on one's own machine may want none."""
    assert (await ask(make_model(api_key=""), "Hello?")).text
    assert kind.key.partition(":")[0] not in provider.requests[0].headers


async def test_a_base_url_may_end_in_a_slash(
    make_model: MakeModel, provider: FakeProvider, kind: Kind
) -> None:
    assert (await ask(make_model(base_url=kind.base_url(provider.root) + "/"), "Hello?")).text


async def test_models_lists_what_is_on_offer(model: Provider, provider: FakeProvider, kind: Kind) -> None:
    assert await model.models() == list(kind.models)
    header, _, before = kind.key.partition(": ")
    assert provider.requests[0].headers[header] == before + KEY


async def test_models_tells_an_address_that_is_wrong(make_model: MakeModel, provider: FakeProvider) -> None:
    with pytest.raises(ProviderError, match="not available"):
        await make_model(base_url=provider.root + "/nowhere").models()
    async with FakeProvider() as gone:
        address = gone.root
    with pytest.raises(Unreachable):
        await make_model(base_url=address).models()


async def test_a_list_of_models_in_no_known_form_is_told_as_such(
    model: Provider, provider: FakeProvider, kind: Kind
) -> None:
    provider.told = {kind.service: "html"}
    with pytest.raises(Garbled):
        await model.models()
