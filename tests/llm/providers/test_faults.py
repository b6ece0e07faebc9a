"""Faults of one provider, of every kind: each over real HTTP, through the production client.

What every case has in common: what was said before the fault is kept, the error says what happened in a
type and a sentence, the cause names it for the operator without the key, and the next question works.
"""

import asyncio
import socket
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from parlour.infra.web.outbound import open_session
from parlour.llm.model import Finish, ModelEvent
from parlour.llm.timeouts import Timeouts
from parlour.llm.wire.call import LONGEST_ANSWER
from parlour.vocabulary.errors import (
    BadKey,
    ContextTooLong,
    EmptyAnswer,
    Garbled,
    ModelMissing,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)
from parlour.vocabulary.messages import FinishReason
from parlour.vocabulary.usage import Usage
from tests.fakes.answers import answer_pieces
from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded, script_of
from tests.llm.asking import Answer, ask, question
from tests.llm.conftest import KEY
from tests.llm.providers.kinds import KINDS, Kind, MakeModel, Provider

pytestmark = pytest.mark.anyio

SHORT = Timeouts(connect=0.2, first_token=0.2, stall=0.2, total=30.0)


def whole_text(asked: str) -> str:
    """Return what the fake would say to ``asked`` if nothing went wrong."""
    return "".join(answer_pieces(asked, script_of("fake", asked), []))


async def fails(model: Provider, asked: str, kind: type[ProviderError]) -> Answer:
    """Ask, expect exactly this kind of failure, and check what all failures have in common."""
    answer = await ask(model, asked)

    assert type(answer.error) is kind, answer
    assert answer.error.cause
    assert len(answer.error.cause) < 600
    assert KEY not in str(answer.error) + answer.error.cause
    assert (await ask(model, "And now?")).finish.reason is FinishReason.STOP
    return answer


STATUSES: list[tuple[str, type[ProviderError]]] = [
    ("status=500", Overloaded),  # F-004
    ("status=502", Unreachable),
    ("status=503", Overloaded),
    ("status=504", Unreachable),
    ("status=529;code=overloaded_error", Overloaded),  # F-005
    ("status=408", Overloaded),
    ("status=409", Overloaded),
    ("status=425", Overloaded),
    ("status=400;code=context_length_exceeded", ContextTooLong),  # F-006
    ("status=400;message=" + encoded("prompt is too long: 300000 tokens > 200000 maximum"), ContextTooLong),
    ("status=413", ContextTooLong),  # F-009
    ("status=422", Rejected),
    ("status=400", Rejected),
    ("status=401;code=invalid_api_key", BadKey),  # F-007
    ("status=403", BadKey),
    ("status=400;message=" + encoded("API key not valid. Please pass a valid API key."), BadKey),
    ("status=404;code=model_not_found", ModelMissing),  # F-008
    ("status=404", ModelMissing),
    ("status=400;code=content_filter", Refused),
    ("status=429", RateLimited),
    ("status=429;code=insufficient_quota", RateLimited),
    ("status=402", RateLimited),
]


@pytest.mark.parametrize(("directive", "error"), STATUSES, ids=[each for each, _ in STATUSES])
async def test_a_refused_call_is_told_by_its_kind(
    model: Provider, provider: FakeProvider, directive: str, error: type[ProviderError]
) -> None:
    answer = await fails(model, f"[[{directive}]]", error)

    assert answer.events == []
    assert answer.error is not None
    assert answer.error.cause is not None
    assert directive.partition(";")[0].removeprefix("status=") in answer.error.cause
    assert len(provider.calls(directive)) == 1


@pytest.mark.parametrize("code", ["", ";code=insufficient_quota"])
async def test_how_long_to_wait_is_passed_on(model: Provider, code: str) -> None:
    """F-001, F-002, P-15: but for money that is used up no wait makes sense."""
    answer = await ask(model, f"[[status=429;ra=600{code}]]")

    assert isinstance(answer.error, RateLimited)
    assert answer.error.retry_after == (None if code else 600)


async def test_a_date_to_wait_for_is_understood(model: Provider) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    answer = await ask(model, f"[[status=503;ra={moment}]]")

    assert answer.error is not None
    assert answer.error.retry_after == pytest.approx(3600, abs=60)


async def test_a_provider_that_quotes_the_key_is_not_quoted(model: Provider) -> None:
    message = encoded(f"Incorrect API key provided: {KEY}. " + "And so on. " * 100)
    answer = await fails(model, f"[[status=401;message={message}]]", BadKey)

    assert answer.error is not None
    assert "Incorrect API key provided: ***" in str(answer.error.cause)


@pytest.mark.parametrize("code", ["overloaded_error", "rate_limit_error", "context_length_exceeded"])
async def test_an_error_in_the_stream_keeps_what_was_said(model: Provider, code: str) -> None:
    """F-005: HTTP 200, three words, and then an error event."""
    kinds = {"overloaded_error": Overloaded, "rate_limit_error": RateLimited}
    asked = f"[[event=error:{code}@3]]"
    answer = await fails(model, asked, kinds.get(code, ContextTooLong))

    assert answer.text == "".join(answer_pieces(asked, script_of("fake", asked), [])[:3])


async def test_nobody_at_the_address(make_model: MakeModel) -> None:
    """F-010: connection refused."""
    async with FakeProvider() as gone:
        address = gone.base_url
    answer = await ask(make_model(base_url=address), "Hello?")

    assert isinstance(answer.error, Unreachable)
    assert "Connect" in str(answer.error.cause)


async def test_no_tls_where_tls_was_expected(make_model: MakeModel, provider: FakeProvider) -> None:
    answer = await ask(make_model(base_url=provider.base_url.replace("http:", "https:")), "Hello?")

    assert isinstance(answer.error, Unreachable)


def _elsewhere(
    kind: Kind, session: aiohttp.ClientSession, address: str, timeouts: Timeouts | None = None
) -> Provider:
    return kind.adapter(
        session=session, base_url=address, model="fake", api_key="", timeouts=timeouts, provider=kind.name
    )


class _Resolver(AbstractResolver):
    """Knows no name; or never says so."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        if self._silent:
            await asyncio.Event().wait()
        raise OSError(None, f"no such name: {host}:{port} ({family})")

    async def close(self) -> None:
        pass


async def test_a_name_that_does_not_exist(kind: Kind) -> None:
    async with open_session(user_agent="tests", resolver=_Resolver(silent=False)) as session:
        model = _elsewhere(kind, session, "http://nowhere.test")
        answer = await ask(model, "Hello?")

    assert isinstance(answer.error, Unreachable)


async def test_a_connection_that_takes_too_long(kind: Kind) -> None:
    """P-13: the whole way to a connection counts, the name included."""
    async with open_session(user_agent="tests", resolver=_Resolver(silent=True)) as session:
        limits = Timeouts(connect=0.1, first_token=30)
        model = _elsewhere(kind, session, "http://slow.test", limits)
        answer = await ask(model, "Hello?")

    assert isinstance(answer.error, TimedOut)
    assert (answer.error.stage, answer.error.seconds) == ("connect", 0.1)


@pytest.mark.parametrize("directive", ["hold=inf", "ttft=inf", "stall@0"])
async def test_a_model_that_never_begins(
    make_model: MakeModel, provider: FakeProvider, directive: str
) -> None:
    answer = await fails(make_model(timeouts=SHORT), f"[[{directive}]]", TimedOut)

    assert isinstance(answer.error, TimedOut)
    assert (answer.error.stage, answer.error.seconds) == ("first_token", 0.2)
    await asyncio.wait_for(provider.requests[0].ended.wait(), 1)


async def test_a_slow_beginning_within_the_limit_is_no_fault(model: Provider) -> None:
    """F-012."""
    assert (await ask(model, "[[hold=0.2;ttft=0.3]]")).finish.reason is FinishReason.STOP


async def test_keep_alive_comments_are_no_word(make_model: MakeModel) -> None:
    """The role chunk and the comments come at once; the first word does not."""
    answer = await ask(make_model(timeouts=SHORT), "[[shape=comments,nullcontent;stall@0]]")

    assert isinstance(answer.error, TimedOut)
    assert answer.error.stage == "first_token"


async def test_a_model_that_thinks_aloud_is_alive(make_model: MakeModel) -> None:
    """All thoughts together take longer than the limit for the first word, yet each shows that it works."""
    limits = Timeouts(first_token=0.5)
    answer = await ask(make_model(timeouts=limits), "[[thoughts=20;dt=0.04;n=2]]")

    assert answer.finish.reason is FinishReason.STOP
    assert "thought" not in answer.text


async def test_a_stall_keeps_what_was_said(make_model: MakeModel, provider: FakeProvider) -> None:
    """F-013."""
    asked = "[[stall@3]]"
    answer = await fails(make_model(timeouts=SHORT), asked, TimedOut)

    assert isinstance(answer.error, TimedOut)
    assert answer.error.stage == "stall"
    assert answer.text == "".join(answer_pieces(asked, script_of("fake", asked), [])[:3])
    await asyncio.wait_for(provider.requests[0].ended.wait(), 1)


async def test_a_pause_within_the_limit_is_no_fault(make_model: MakeModel) -> None:
    limits = Timeouts(first_token=5, stall=5)
    assert (await ask(make_model(timeouts=limits), "[[stall@3:0.2]]")).text == whole_text("[[stall@3:0.2]]")


async def test_the_readers_own_time_is_not_the_providers(make_model: MakeModel) -> None:
    """A consumer that takes longer between two events than a stall may last is not cut off."""
    limits = Timeouts(first_token=0.5, stall=0.5)
    events: list[ModelEvent] = []
    async for event in make_model(timeouts=limits).stream(question("[[n=3;stall@2:0.01]]")):
        if not events:
            await asyncio.sleep(1)  # the reader's slowness is what is tested
        events.append(event)

    assert isinstance(events[-1], Finish)


async def test_an_answer_that_never_comes_to_its_end(make_model: MakeModel) -> None:
    limits = Timeouts(first_token=5, stall=5, total=0.3)
    answer = await fails(make_model(timeouts=limits), "[[n=9000;dt=0.02]]", TimedOut)

    assert isinstance(answer.error, TimedOut)
    assert (answer.error.stage, answer.error.seconds) == ("total", 0.3)
    assert answer.text


async def test_a_reader_who_is_stuck_does_not_keep_the_call_beyond_its_time(
    make_model: MakeModel, provider: FakeProvider
) -> None:
    """P-13: the provider is let go at the deadline, although nobody asks for the next word."""
    limits = Timeouts(first_token=5, stall=5, total=0.3)
    async with aclosing(make_model(timeouts=limits).stream(question("[[n=9000;dt=0.02]]"))) as events:
        await anext(events)
        await asyncio.wait_for(provider.requests[0].ended.wait(), 2)

        with pytest.raises(TimedOut, match="not finished"):
            await anext(events)


@pytest.mark.parametrize("directive", ["rst@5", "eof@5", "rst@5;dt=0.01", "eof@5;dt=0.01", "eof@0", "rst@0"])
async def test_a_connection_that_breaks_keeps_what_was_said(model: Provider, directive: str) -> None:
    """F-014, F-016: also in the middle of a character, of which nothing is left over."""
    asked = f"[[{directive}]]"
    answer = await fails(model, asked, Unreachable)

    assert whole_text(asked).startswith(answer.text)
    assert "\ufffd" not in answer.text
    if "dt" in directive:
        assert len(answer.text.split()) == 5


@pytest.mark.parametrize("directive", ["nofinish;nodone", "nofinish;nodone;split"])
async def test_a_stream_that_just_ends_is_a_broken_one(model: Provider, directive: str) -> None:
    asked = f"[[{directive};n=5]]"
    answer = await fails(model, asked, Unreachable)

    assert answer.text == whole_text(asked)


@pytest.mark.parametrize("directive", ["nofinish", "nodone", "dup", "nodone;dup"])
async def test_either_sign_of_the_end_will_do(model: Provider, kind: Kind, directive: str) -> None:
    """F-026: and twice is not more than once."""
    if directive == "nofinish" and kind.one_end:
        pytest.skip("without its finish reason, nothing is left that could be a sign")
    asked = f"[[{directive}]]"
    answer = await ask(model, asked)

    assert answer.text == whole_text(asked)
    assert answer.finish.reason is FinishReason.STOP


def mixed(kind: Kind) -> str:
    """Return many oddities of a wire at once."""
    together = ("cr", "comments", "noblank", "unknown", *list(kind.shapes)[10:])
    return ",".join(each for each in together if each in kind.shapes)


# Byte by byte the comment of 1 MB would take a million writes.
ODD = [
    pytest.param(kind, shape + split, id=f"{kind}-{shape}{split}")
    for kind in KINDS
    for split in ("", ";split")
    for shape in (*kind.shapes, mixed(kind))
    if not (shape == "longcomment" and split)
]


@pytest.mark.parametrize("after", ["stall", "rst", "eof"])
async def test_a_whole_answer_does_not_need_its_formal_end(model: Provider, after: str) -> None:
    """Every word and the finish reason are there; then the server hangs or its connection breaks."""
    asked = f"[[dt=0.001;after={after}]]"
    async with asyncio.timeout(20):  # not the 30 s of a stall
        answer = await ask(model, asked)

    assert answer.text == whole_text(asked)
    assert answer.finish.usage is not None


@pytest.mark.parametrize(("kind", "shape"), ODD, indirect=["kind"])
async def test_odd_shapes_change_nothing(model: Provider, shape: str) -> None:
    """F-017, F-018: whole, and with every byte in an HTTP chunk of its own."""
    asked = f"[[n=6;shape={shape}]]"
    answer = await ask(model, asked)

    assert answer.text == whole_text(asked)
    assert answer.finish.reason is FinishReason.STOP
    assert answer.finish.usage is not None


async def test_one_unreadable_chunk_is_skipped(model: Provider) -> None:
    """F-018."""
    asked = "[[n=6;badjson@2]]"
    pieces = answer_pieces(asked, script_of("fake", asked), [])
    answer = await ask(model, asked)

    assert answer.text == "".join([*pieces[:2], *pieces[3:]])
    assert answer.finish.reason is FinishReason.STOP


async def test_invalid_utf8_costs_a_character_and_not_the_answer(model: Provider) -> None:
    asked = "[[n=6;badutf8@2]]"
    pieces = answer_pieces(asked, script_of("fake", asked), [])
    answer = await ask(model, asked)

    assert answer.text == "".join([*pieces[:2], pieces[2][:-1] + "\ufffd", *pieces[3:]])


async def test_a_web_page_is_no_answer(model: Provider) -> None:
    await fails(model, "[[html]]", Garbled)


@pytest.mark.parametrize("directive", ["flood", "hostile=big"])
async def test_a_flood_is_cut_off(model: Provider, provider: FakeProvider, directive: str) -> None:
    """F-020, F-032: ten megabytes are no answer."""
    answer = await ask(model, f"[[{directive}]]")

    assert len(answer.text) == LONGEST_ANSWER
    assert answer.finish.reason is FinishReason.LENGTH
    await asyncio.wait_for(provider.requests[0].ended.wait(), 1)
    assert provider.requests[0].outcome == "reader gone"


async def test_a_big_chunk_is_only_a_big_chunk(model: Provider) -> None:
    """F-020: two megabytes on the wire in one event."""
    asked = "語" * 600 + " [[n=1100;shape=one]]"
    answer = await ask(model, asked)

    assert answer.text == whole_text(asked)
    assert len(answer.text.encode()) > 1_900_000


@pytest.mark.parametrize("directive", ["empty", "empty;usage=none", "text=" + encoded(" \n\n ")])
async def test_an_empty_answer_is_no_answer(model: Provider, directive: str) -> None:
    """F-021: nor is one of blanks, of which nothing is shown."""
    answer = await fails(model, f"[[{directive}]]", EmptyAnswer)

    assert answer.events == []


async def test_blanks_before_the_first_word_are_kept(model: Provider) -> None:
    answer = await ask(model, f"[[dt=0.01;text={encoded('  indented words ')}]]")

    assert answer.text == "  indented words "


async def test_a_filtered_answer_is_marked(model: Provider) -> None:
    """F-022: in the middle the words stay; at the start there is nothing to keep."""
    filtered = await ask(model, "[[finish=content_filter]]")
    assert filtered.text
    assert filtered.finish.reason is FinishReason.FILTERED

    await fails(model, "[[empty;finish=content_filter]]", Refused)


async def test_an_answer_cut_by_its_limit_says_so(model: Provider) -> None:
    assert (await ask(model, "[[finish=length]]")).finish.reason is FinishReason.LENGTH


@pytest.mark.parametrize("usage", ["none", "neg", "absurd", "text"])
async def test_a_usage_that_cannot_be_is_none(model: Provider, usage: str) -> None:
    """F-025: the caller estimates."""
    assert (await ask(model, f"[[usage={usage}]]")).finish.usage is None


async def test_a_usage_that_can_be_is_kept(model: Provider) -> None:
    usage = (await ask(model, "one two [[n=7]]")).finish.usage

    assert usage is not None
    assert usage == Usage(usage.input_tokens, 7)
    assert usage.input_tokens > 0


async def test_what_a_cache_gave_and_took_is_a_part_of_what_was_read(model: Provider, kind: Kind) -> None:
    """Whatever the provider counts beside what: the same prompt is as long with a cache as without."""
    if not kind.tells_of_cache:
        pytest.skip("it does not count what it had in its cache")
    plain = (await ask(model, "one two three four [[usage=]]")).finish.usage
    cached = (await ask(model, "one two three four [[usage=cached]]")).finish.usage

    assert plain is not None
    assert cached is not None
    assert plain.cached_tokens == 0
    assert cached.input_tokens == plain.input_tokens
    assert 0 < cached.cached_tokens < cached.input_tokens


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        ("nul", "before after"),
        ("surrogate", "before \ufffd middle \ufffd after"),
        ("pair", "before \N{GRINNING FACE} after \ufffd"),
        ("breakout", "a\n\nevent: done\ndata: {}\n\n\r\rdata: [DONE]\r\r\u2028: comment\nb"),
    ],
)
@pytest.mark.parametrize("split", ["", ";split"])
async def test_hostile_text_is_only_text(model: Provider, hostile: str, expected: str, split: str) -> None:
    """F-032."""
    answer = await ask(model, f"[[hostile={hostile}{split}]]")

    assert answer.text == expected
    answer.text.encode()


async def test_a_new_key_does_not_disturb_a_running_answer(
    make_model: MakeModel, provider: FakeProvider, kind: Kind
) -> None:
    """F-033: each adapter keeps the key it was made with; both share one session."""
    old, new = make_model(), make_model(api_key="sk-the-new-one")
    running = asyncio.create_task(ask(old, "[[n=20;dt=0.01]]"))
    await provider.arrived.wait()
    assert (await ask(new, "Hello?")).text

    assert (await running).text == whole_text("[[n=20;dt=0.01]]")
    header, _, before = kind.key.partition(": ")
    assert provider.requests[1].headers[header] == f"{before}sk-the-new-one"
