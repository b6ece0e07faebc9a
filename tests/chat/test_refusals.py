"""What must be refused is, by name, and leaves no trace; everything else passes unchanged."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fakes.provider import FakeProvider
from tests.harness.serving import Answer, Person, Served, answers
from tests.harness.tables import counts

pytestmark = pytest.mark.anyio

LIMIT = 10_000
AN_ID = "01900000-0000-7000-8000-000000000000"
NAUGHTY = [
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}\U0001f3fd",
    "\N{RIGHT-TO-LEFT OVERRIDE}\u202a\u2066\u05e9\u05dc\u05d5\u05dd\u2069\u202c",
    "e" + "\u0301" * 500,
    "\u212b\u00c5A\u030a",  # one letter in three normal forms
    "\ufeff\ufffe\uffff\U0010ffff",
    "\x01\x08\x0b\x0c\x1b[31m\x7f\x80\x9f\x85",
    "  \t\r\n both ends \u2028\u2029\xa0 ",
    "<script>alert(1)</script>' OR 1=1 -- ; DROP TABLE messages",
    "{{7*7}} ${jndi:ldap://x} %s %00 \\u0000 \\ud800",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u4e2d\u6587 \u0e44\u0e17\u0e22"
    " \u0939\u093f\u0928\u094d\u0926\u0940",
    "\U00020000\U000e0001\U000e0020\U0001f1fa\U0001f1f3",
]
storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.fixture
async def untouched(served: Served) -> AsyncIterator[None]:
    """Hold every table's number of rows against what it was before the test."""
    await served.parlour.turns.finish_all(5)
    before = await counts(served)
    yield
    await served.parlour.turns.finish_all(5)
    assert await counts(served) == before, "nothing was stored"


def check_problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Hold an answer against the form that every refusal has."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), (
        answer.body
    )
    problem: dict[str, Any] = answer.json
    assert set(problem) == {
        *("type", "title", "status", "detail", "code", "retryable", "requestId", "errors"),
    }
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    assert problem["title"]
    assert problem["detail"]
    return problem


async def sent(person: Person, body: str, kind: str = "application/json") -> Answer:
    return await person.request("POST", "/api/chat", data=body.encode(), headers={"Content-Type": kind})


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ('{"message": ""}', "message", "empty"),
        ('{"message": " \\t\\r\\n\\u00a0\\u2028\\u3000 "}', "message", "empty"),
        (json.dumps({"message": "x" * (LIMIT + 1)}), "message", "too_long"),
        (json.dumps({"message": "\U0001f600" * (LIMIT + 1)}, ensure_ascii=False), "message", "too_long"),
        ('{"message": "a\\u0000b"}', "message", "invalid_text"),
        ('{"message": "a\\ud800b"}', "message", "invalid_text"),
        ('{"message": "a\\udfffb"}', "message", "invalid_text"),
        ("{}", "message", "missing"),
        ('{"message": null}', "message", "string_type"),
        ('{"message": 5}', "message", "string_type"),
        ('{"message": ["a"]}', "message", "string_type"),
        ('{"message": {"$ne": 1}}', "message", "string_type"),
        ('{"message": "a", "stream": "yes"}', "stream", "bool_type"),
        ('{"message": "a", "stream": 1}', "stream", "bool_type"),
        ('{"message": "a", "sessionId": 5}', "sessionId", "string_type"),
        ('{"message": "a", "sessionId": ""}', "sessionId", "string_too_short"),
        ('{"message": "a", "parentId": ["x"]}', "parentId", "string_type"),
        ('{"message": "a", "clientMessageId": 1.5}', "clientMessageId", "string_type"),
        ('{"message": "a", "context": []}', "context", "dict_type"),
        ('{"message": "a", "context": {"a": "\\u0000"}}', "context.a", "invalid_text"),
        ('{"message": "a", "model": "no-such-model"}', "model", "invalid"),
        ('{"message": "a", "message": "b"}', "message", "duplicate"),
        ('{"message": "a", "context": {"n": 9223372036854775808}}', "body", "number"),
        ('{"message": "a", "context": {"n": 1e999}}', "body", "number"),
        ('{"message": "a", "context": {"n": ' + "[" * 70 + "]" * 70 + "}}", None, "too_deep"),
        *(
            (json.dumps({"message": "a", name: "x"}), name, "extra_forbidden")
            for name in ("html", "system", "tools", "api_base", "user_id", "personId", "session_id", "n")
        ),
        ("[]", None, None),
        ('"hello"', None, None),
        ("5", None, None),
        ("null", None, None),
    ],
)
@pytest.mark.usefixtures("untouched")
async def test_a_message_that_cannot_be_taken_is_refused_with_field_and_reason(
    visitor: Person, body: str, field: str | None, code: str | None
) -> None:
    """C-10, A-048, A-054, A-056, D1, D2, D15"""
    problem = check_problem(await sent(visitor, body), 422, "invalid_input")
    assert problem["retryable"] is False
    (error,) = problem["errors"][:1]
    assert set(error) == {"field", "message", "code"}
    if field is not None:
        assert error["field"] == field
    if code is not None:
        assert error["code"] == code


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", '{"message": "a"', "{'message': 'a'}", '{"message": NaN}', "\x00", '{"message": "a"} {}'),
        *('{"<img src=x onerror=1>', "[" * 100_000, '{"message": "a\nb"}'),
    ],
)
@pytest.mark.usefixtures("untouched")
async def test_a_body_that_is_no_json_is_refused_without_an_echo(visitor: Person, body: str) -> None:
    """C-10, A-058, D15"""
    answer = await sent(visitor, body)
    assert answer.status in ((422, 400) if body == "" else (400,))
    problem = check_problem(
        answer, answer.status, "invalid_input" if answer.status == 422 else "invalid_json"
    )
    assert "onerror" not in json.dumps(problem)


@pytest.mark.parametrize(
    "data", [b'{"message": "\xff\xfe"}', b'{"message": "\xed\xa0\x80"}', b"\xef\xbb\xbf{}"]
)
@pytest.mark.usefixtures("untouched")
async def test_a_body_that_is_no_utf_8_is_refused(visitor: Person, data: bytes) -> None:
    """C-10, D15"""
    answer = await visitor.request(
        "POST", "/api/chat", data=data, headers={"Content-Type": "application/json"}
    )
    check_problem(answer, 400, "invalid_json")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
@pytest.mark.usefixtures("untouched")
async def test_a_body_of_another_kind_is_refused_whatever_it_holds(visitor: Person, kind: str) -> None:
    """A-057, D1"""
    for body in ('{"message": "hello"}', '{"message": "\\ud800"}'):
        check_problem(await sent(visitor, body, kind), 422, "invalid_input")


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in chunks"])
@pytest.mark.usefixtures("untouched")
async def test_a_body_of_forty_megabytes_is_refused(visitor: Person, declared: bool) -> None:  # noqa: FBT001
    """C-10, D3"""
    host, port = visitor.served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = b"Content-Length: 41943040" if declared else b"Transfer-Encoding: chunked"
    writer.write(
        b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + f"Authorization: Bearer {visitor.token}\r\n".encode()
        + length
        + b"\r\n\r\n"
    )
    answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    part = b"x" * 65_536
    for _ in range(640):
        if answer.done() or writer.is_closing():
            break
        writer.write(part if declared else b"10000\r\n" + part + b"\r\n")
        await asyncio.sleep(0)
    head = await asyncio.wait_for(answer, 20)
    writer.close()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in head


async def test_the_longest_message_may_be_of_any_characters(visitor: Person) -> None:
    """C-10: 10,000 characters are 10,000 code points"""
    for text in ("\U0001f600" * LIMIT, "word " * (LIMIT // 5 - 1) + "words", "  " + "\u0301" * LIMIT + "  "):
        reply = await visitor.send(text, model="builtin")
        said, _ = await visitor.messages(reply["sessionId"])
        assert said["content"] == text


@pytest.mark.parametrize("text", NAUGHTY)
async def test_every_script_passes_unchanged(visitor: Person, provider: FakeProvider, text: str) -> None:
    """C-10, F-092, F-093: stored, shown, and given to the model"""
    await check_unchanged(visitor, provider, text)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=storable.filter(str.strip))
@example(text="[")
async def test_any_text_passes_unchanged(visitor: Person, provider: FakeProvider, text: str) -> None:
    """C-10, A-054"""
    await check_unchanged(visitor, provider, text)


async def check_unchanged(visitor: Person, provider: FakeProvider, text: str) -> None:
    mark = uuid4().hex
    message = f"{text}{mark}[[n=1]]" if "[[" not in text else text
    reply = await visitor.send(message)
    said, _ = await visitor.messages(reply["sessionId"])
    assert said["content"] == message
    assert [call.question for call in answers(provider, mark)] == [message]
    again = await visitor.ok("GET", f"/api/chat/sessions/{reply['sessionId']}")
    assert again["title"]


def requests(session: str, message: str, asked: str, run: str) -> list[tuple[str, str, Any]]:
    """Return every request that names something by its id."""
    return [
        ("GET", f"/api/chat/sessions/{session}", None),
        ("PATCH", f"/api/chat/sessions/{session}", {"title": "Taken over"}),
        ("PATCH", f"/api/chat/sessions/{session}", {"archived": True}),
        ("DELETE", f"/api/chat/sessions/{session}", None),
        ("POST", f"/api/chat/sessions/{session}/restore", None),
        ("GET", f"/api/chat/sessions/{session}/messages", None),
        ("GET", f"/api/chat/sessions/{session}/messages?before={message}", None),
        ("POST", f"/api/chat/sessions/{session}/messages", {"message": "Mine now"}),
        ("POST", "/api/chat", {"message": "Mine now", "sessionId": session}),
        ("POST", "/api/chat", {"message": "Mine now", "sessionId": session, "parentId": message}),
        ("POST", "/api/chat", {"message": "Mine now", "parentId": message}),
        ("POST", "/api/chat", {"message": "Mine now", "sessionId": session, "stream": True}),
        ("POST", f"/api/chat/messages/{message}/regenerate", None),
        ("POST", f"/api/chat/messages/{asked}/regenerate", {"stream": True}),
        ("PUT", f"/api/chat/messages/{message}/feedback", {"rating": "down"}),
        ("GET", f"/api/chat/runs/{run}", None),
        ("GET", f"/api/chat/runs/{run}/events", None),
        ("GET", f"/api/chat/runs/{run}/events?after=1.3", None),
        ("POST", f"/api/chat/runs/{run}/stop", None),
        ("POST", f"/api/chat/{session}", {"message": "Mine now"}),
        ("POST", f"/api/chat/sessions/{session}", {"title": "Taken over"}),
        ("POST", "/api/chat/stream", {"message": "Mine now", "sessionId": session}),
        ("GET", f"/api/chat/stream?message=Mine&sessionId={session}", None),
        ("GET", f"/api/sessions/{session}/history", None),
    ]


def without_id(answer: Answer) -> tuple[int, list[tuple[str, str]], dict[str, Any]]:
    """Return everything of a refusal but the request's id and the time of day."""
    headers = [(k.lower(), v) for k, v in answer.headers.items() if k.lower() not in ("x-request-id", "date")]
    return answer.status, headers, answer.json | {"requestId": ""}


async def test_what_is_somebody_elses_looks_exactly_like_what_does_not_exist(
    visitor: Person, stranger: Person, provider: FakeProvider
) -> None:
    """A-040, A-041, A-044, A-045, A-049: by every address that names an id"""
    mine = await visitor.send("A secret [[n=3]]")
    await visitor.served.parlour.turns.finish_all(5)
    before, seen = await counts(visitor.served), len(provider.requests)
    ids = (mine["sessionId"], mine["messageId"], mine["userMessageId"], mine["runId"])
    for foreign, unknown in zip(requests(*ids), requests(*[AN_ID] * 4), strict=True):
        answers_got = [
            await stranger.request(method, path, body=body) for method, path, body in (foreign, unknown)
        ]
        assert answers_got[0].status == 404, foreign
        check_problem(answers_got[0], 404, "not_found")
        assert without_id(answers_got[0]) == without_id(answers_got[1]), foreign
    await visitor.served.parlour.turns.finish_all(5)
    assert await counts(visitor.served) == before
    assert len(provider.requests) == seen, "no model was asked"
    assert await visitor.message(mine["sessionId"], mine["messageId"]) == mine["message"]


@pytest.mark.parametrize(
    "name",
    ["x", "0", "None", "..%2f..%2fetc", "%00", "%ff", "x" * 2000, AN_ID.upper(), AN_ID + "0", "'%20OR%201"],
)
async def test_an_id_of_another_form_names_nothing(visitor: Person, name: str) -> None:
    """A-032, A-053"""
    for method, path, body in requests(name, name, name, name):
        answer = await visitor.request(method, path, body=body)
        assert answer.status in (404, 422), (method, path, answer.body)
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.usefixtures("untouched")
async def test_without_a_token_nothing_can_be_done(served: Served) -> None:
    """A-040"""
    for method, path, body in requests(*[AN_ID] * 4):
        answer = await served.request(method, path, body=body)
        check_problem(answer, 401, "unauthenticated")


@pytest.mark.usefixtures("untouched")
async def test_a_session_that_is_not_the_addresses_is_refused(visitor: Person) -> None:
    """C-10"""
    answer = await visitor.request(
        "POST", f"/api/chat/sessions/{AN_ID}/messages", body={"message": "a", "sessionId": str(uuid4())}
    )
    assert check_problem(answer, 422, "invalid_input")["errors"][0]["field"] == "sessionId"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/api/chat/sessions", {"title": ""}, "title"),
        ("POST", "/api/chat/sessions", {"title": "x" * 201}, "title"),
        ("POST", "/api/chat/sessions", {"id": AN_ID}, "id"),
        ("POST", "/api/chat/sessions", {"metadata": [1]}, "metadata"),
        ("PATCH", f"/api/chat/sessions/{AN_ID}", {"user_id": "x"}, "user_id"),
        ("PATCH", f"/api/chat/sessions/{AN_ID}", {"createdAt": "2020-01-01"}, "createdAt"),
        ("PATCH", f"/api/chat/sessions/{AN_ID}", {"archived": "yes"}, "archived"),
        ("PUT", f"/api/chat/messages/{AN_ID}/feedback", {"rating": "sideways"}, "rating"),
        ("PUT", f"/api/chat/messages/{AN_ID}/feedback", {}, "rating"),
        ("PUT", f"/api/chat/messages/{AN_ID}/feedback", {"rating": "up", "text": "x" * 2001}, "text"),
        ("POST", f"/api/chat/messages/{AN_ID}/regenerate", {"message": "x"}, "message"),
    ],
)
@pytest.mark.usefixtures("untouched")
async def test_other_bodies_are_refused_by_field_as_well(
    visitor: Person, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    """A-048, A-049, A-050"""
    problem = check_problem(await visitor.request(method, path, body=body), 422, "invalid_input")
    assert problem["errors"][0]["field"] == field


@pytest.mark.usefixtures("untouched")
async def test_an_assistant_that_does_not_exist_is_refused(visitor: Person) -> None:
    """C-10"""
    for path, body in (
        ("/api/chat", {"message": "a", "assistantId": "nobody"}),
        ("/api/chat/sessions", {"assistantId": "nobody"}),
    ):
        check_problem(await visitor.request("POST", path, body=body), 404, "not_found")
