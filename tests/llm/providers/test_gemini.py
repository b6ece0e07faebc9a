"""What Gemini is asked: the documented request, signatures of thoughts, and what models of any age want."""

from typing import Any

import aiohttp
import pytest

from parlour.llm.model import Image, Prompt, Tool, ToolCall, Turn
from parlour.llm.prompting import GO_ON_NOW
from parlour.llm.providers.gemini import NO_SIGNATURE, SIGNATURES_KEPT, Gemini
from parlour.vocabulary.errors import ContextTooLong, RateLimited, Refused, Rejected
from tests.fakes.provider import FakeProvider
from tests.fakes.script import Call, calling, encoded
from tests.llm.asking import ask, question
from tests.llm.conftest import KEY

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {}}
WEATHER = Tool("weather", "Tells the weather.", SCHEMA)
CALL = ToolCall("fc_a", "weather", '{"city": "Bern"}')
LOOP = (
    Turn("user", "Weather?", images=(Image("image/png", b"png"),)),
    Turn("assistant", "Let me see.", tool_calls=(CALL,)),
    Turn("tool", "21 °C", tool_call_id="fc_a"),
)


@pytest.fixture
def gemini(provider: FakeProvider, session: aiohttp.ClientSession) -> Gemini:
    """Return an adapter for the fake provider."""
    return Gemini(session=session, base_url=provider.root, api_key=KEY, model="gemini-3.8-test")


SAID = [
    {
        "role": "user",
        "parts": [
            {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
            {"text": "Weather?"},
        ],
    },
    {
        "role": "model",
        "parts": [
            {"text": "Let me see."},
            {
                "functionCall": {"id": "fc_a", "name": "weather", "args": {"city": "Bern"}},
                "thoughtSignature": NO_SIGNATURE,
            },
        ],
    },
    {
        "role": "user",
        "parts": [
            {
                "functionResponse": {
                    "id": "fc_a",
                    "name": "weather",
                    "response": {"output": "21 °C"},
                }
            }
        ],
    },
]


async def test_the_request_is_what_google_documents(gemini: Gemini, provider: FakeProvider) -> None:
    prompt = Prompt(
        system="Be kind.",
        turns=LOOP,
        tools=(WEATHER,),
        tool_choice="weather",
        max_tokens=2_000,
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        output_schema=SCHEMA,
    )
    assert (await ask(gemini, prompt)).text

    [request] = provider.requests
    assert gemini.path() == "/v1beta/models/gemini-3.8-test:streamGenerateContent?alt=sse"
    assert request.headers["x-goog-api-key"] == KEY
    assert request.body == {
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "weather", "description": "Tells the weather.", "parametersJsonSchema": SCHEMA}
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "maxOutputTokens": 2_000,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["END"],
            "responseJsonSchema": SCHEMA,
            "responseMimeType": "application/json",
        },
        "contents": SAID,
    }


async def test_a_setting_that_nobody_made_is_left_to_the_provider(
    gemini: Gemini, provider: FakeProvider
) -> None:
    await ask(gemini, "Hello?")

    assert provider.requests[0].body.keys() == {"contents", "systemInstruction"}


def signatures(body: dict[str, Any]) -> list[str | None]:
    """Return what each function call of a request carries."""
    parts = [part for each in body["contents"] for part in each["parts"]]
    return [part.get("thoughtSignature") for part in parts if "functionCall" in part]


async def test_the_thought_behind_a_call_is_shown_again(gemini: Gemini) -> None:
    """Gemini 3 refuses a call's result without the signature that it gave with the call."""
    asked = Turn("user", f"[[{calling(Call('weather', '{}', 'fc_1'), Call('weather', '{}', 'fc_2'))}]]")
    answer = await ask(gemini, Prompt("", (asked,), tools=(WEATHER,)))
    calls = tuple(event for event in answer.events if isinstance(event, ToolCall))
    results = (Turn("tool", "21 °C", tool_call_id=call.id) for call in calls)
    turns = (asked, Turn("assistant", "", tool_calls=calls), *results)
    first, second = signatures(gemini.body(Prompt("", turns, tools=(WEATHER,))))

    assert first not in (None, NO_SIGNATURE)
    assert second is None  # made together: the first one carries it
    assert (await ask(gemini, Prompt("", turns, tools=(WEATHER,)))).text


async def test_a_signature_that_is_not_taken_any_more_is_replaced(
    gemini: Gemini, provider: FakeProvider
) -> None:
    message = encoded("Corrupted thought signature.")
    gemini.reader(Prompt("", ())).feed(
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"fc_a","name":"weather"},'
        b'"thoughtSignature":"dGhlIHRob3VnaHQgYmVoaW5kIHdlYXRoZXI="}]}}]}\n\n'
    )
    asked = Turn("user", f"[[status=400;times=1;message={message}]]")
    answer = await ask(gemini, Prompt("", (asked, *LOOP[1:]), tools=(WEATHER,)))

    assert answer.text
    before, after = (signatures(each.body) for each in provider.requests)
    assert before != [NO_SIGNATURE]
    assert after == [NO_SIGNATURE]


async def test_signatures_are_not_kept_for_ever(gemini: Gemini) -> None:
    reader = gemini.reader(Prompt("", ()))
    for number in range(SIGNATURES_KEPT + 1):
        reader.feed(
            b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"fc_%d","name":"weather"},'
            b'"thoughtSignature":"c2ln"}]}}]}\n\n' % number
        )
    calls = [ToolCall(f"fc_{number}", "weather", "{}") for number in (0, 1)]
    turns = [Turn("assistant", "", tool_calls=(call,)) for call in calls]

    assert signatures(gemini.body(Prompt("", (Turn("user", "?"), *turns)))) == [NO_SIGNATURE, "c2ln"]


async def test_models_from_before_signatures_get_no_stand_in(session: aiohttp.ClientSession) -> None:
    old = Gemini(session=session, model="gemini-2.5-flash")

    assert signatures(old.body(Prompt("", LOOP))) == [None]


async def test_newer_models_are_asked_to_go_on_by_the_user(gemini: Gemini) -> None:
    """From Gemini 3.6 on a last turn of the model's is refused."""
    body = gemini.body(question("Tell me more", partial="Once upon"))

    assert [each["role"] for each in body["contents"]] == ["user", "model", "user"]
    assert body["contents"][1]["parts"] == [{"text": "Once upon"}]
    assert body["contents"][2]["parts"] == [{"text": GO_ON_NOW}]


async def test_a_blocked_prompt_is_refused(gemini: Gemini) -> None:
    """F-022: it gets no candidate, only a reason."""
    answer = await ask(gemini, "[[finish=blocked]]")

    assert type(answer.error) is Refused
    assert answer.events == []


@pytest.mark.parametrize("shape", ["retryinfo", "retryinfo,list"])
async def test_the_wait_in_the_error_itself_is_passed_on(gemini: Gemini, shape: str) -> None:
    """P-15: Google writes it there and into no header."""
    answer = await ask(gemini, f"[[status=429;shape={shape}]]")

    assert type(answer.error) is RateLimited
    assert answer.error.retry_after == 34.5


async def test_too_long_a_prompt_is_told_as_such(gemini: Gemini) -> None:
    said = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    answer = await ask(gemini, f"[[status=400;message={encoded(said)}]]")

    assert type(answer.error) is ContextTooLong


REFUSALS = [
    ("temperature", 'Invalid JSON payload received. Unknown name "temperature" at "generation_config".'),
    ("topP", "top_p is not supported by this model."),
    ("responseJsonSchema", "Function calling with a response mime type: 'application/json' is unsupported"),
    ("responseJsonSchema", "generation_config.response_json_schema is too complex"),
]


@pytest.mark.parametrize(("parameter", "message"), REFUSALS)
async def test_what_a_model_refuses_by_name_is_given_up_once(
    gemini: Gemini, provider: FakeProvider, parameter: str, message: str
) -> None:
    asked = f"[[status=400;times=1;message={encoded(message)}]]"
    prompt = Prompt(
        "", (Turn("user", asked),), temperature=0.1, top_p=0.5, output_schema={"title": "Weather"}
    )
    answer = await ask(gemini, prompt)

    assert answer.text
    options = [each.body["generationConfig"] for each in provider.requests]
    assert [parameter in each for each in options] == [True, False]
    assert len(options[0]) - len(options[1]) == (2 if parameter == "responseJsonSchema" else 1)
    in_words = '"title":"Weather"' in str(provider.requests[-1].body.get("systemInstruction"))
    assert in_words == (parameter == "responseJsonSchema")


@pytest.mark.parametrize(
    ("message", "remembered"),
    [
        ("Invalid value at 'generation_config.response_json_schema.properties[temperature]'", False),
        ("Unknown name \"oneOf\" at 'generation_config.response_schema.properties[0]': not supported", False),
        ("Function calling with a response mime type: 'application/json' is unsupported", False),
        ('Invalid JSON payload received. Unknown name "responseJsonSchema" at "generation_config"', True),
        ("JSON mode is not enabled for models/gemma-3", True),
    ],
)
async def test_what_is_wrong_with_one_schema_is_no_matter_of_the_next(
    gemini: Gemini, provider: FakeProvider, message: str, *, remembered: bool
) -> None:
    for text in (f"[[status=400;times=1;message={encoded(message)}]]", "Hello?"):
        prompt = Prompt("", (Turn("user", text),), temperature=0.1, output_schema={"title": "Weather"})
        assert (await ask(gemini, prompt)).text

    options = [each.body["generationConfig"] for each in provider.requests]
    assert ["responseJsonSchema" in each for each in options] == [True, False, not remembered]
    assert all("temperature" in each for each in options)


async def test_a_parameter_with_a_wrong_value_is_not_given_up(gemini: Gemini, provider: FakeProvider) -> None:
    message = encoded("temperature must be in the range [0, 2]")
    prompt = Prompt("", (Turn("user", f"[[status=400;message={message}]]"),), temperature=0.5)

    assert type((await ask(gemini, prompt)).error) is Rejected
    assert len(provider.requests) == 1


@pytest.mark.parametrize("address", ["", "/", "/v1beta", "/v1beta/"])
async def test_a_base_url_with_its_version_is_understood(
    provider: FakeProvider, session: aiohttp.ClientSession, address: str
) -> None:
    model = Gemini(session=session, base_url=provider.root + address, model="gemini-test")

    assert (await ask(model, "Hello?")).text


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gemini-3.8-flash", "/v1beta/models/gemini-3.8-flash:"),
        ("tunedModels/mine", "/v1beta/tunedModels/mine:"),
        ("a b?c#d", "/v1beta/models/a%20b%3Fc%23d:"),
    ],
)
async def test_a_name_cannot_change_where_the_prompt_goes(
    session: aiohttp.ClientSession, name: str, path: str
) -> None:
    assert Gemini(session=session, model=name).path().startswith(path)


async def test_a_short_answer_is_asked_for_with_little_thinking(
    gemini: Gemini, provider: FakeProvider
) -> None:
    """A title of thirty tokens would be thought away. How to say so depends on the model's age."""
    refusals = (
        "Thinking level MINIMAL is not supported for this model.",
        "Thinking level is not supported for this model.",
        "The thinking budget 0 is invalid. Please choose a value between 128 and 32768.",
    )
    for said in refusals:
        asked = question(f"Title? [[status=400;times=1;message={encoded(said)}]]", max_tokens=30)
        assert (await ask(gemini, asked)).text

    told = [each.body["generationConfig"].get("thinkingConfig") for each in provider.requests]
    low, none = {"thinkingLevel": "low"}, {"thinkingBudget": 0}
    assert told == [{"thinkingLevel": "minimal"}, low, low, none, none, None]
    assert "generationConfig" not in gemini.body(question("Hi"))
