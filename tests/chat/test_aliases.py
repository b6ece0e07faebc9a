"""Small clients, written the way such clients are commonly written, work unmodified.

Each is kept as it stands in the wild, down to its shortcuts; each shows exactly the stored text.
"""

import asyncio
import codecs
import json
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.script import encoded
from tests.harness import serving as harness
from tests.harness.databases import BACKENDS, MakeUrl
from tests.harness.serving import Answer, Person, Served, answers, serving
from tests.harness.sse import EventReader
from tests.harness.tables import counts, forget_logs

pytestmark = pytest.mark.anyio

TEXT = "Zwölf  Boxkämpfer jagen\n\nViktor\u2028 quer \N{FAMILY} data: [DONE] end"
TOLD = f"Say [[text={encoded(TEXT)}]]"


async def fetch_and_split_lines(
    http: aiohttp.ClientSession, url: str, body: object, headers: Mapping[str, str]
) -> str:
    """``fetch`` + ``getReader()``: split at line ends, keep the last piece, read ``data: `` lines."""
    shown, buffer = "", ""
    async with http.post(url, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        decoder = codecs.getincrementaldecoder("utf-8")()
        async for chunk in response.content.iter_any():
            buffer += decoder.decode(chunk)
            *lines, buffer = buffer.split("\n")
            for line in lines:
                if not line.startswith("data: "):
                    continue
                data = line[6:]
                if data == "[DONE]":
                    return shown
                shown += json.loads(data)["content"]
    raise AssertionError(f"ended without [DONE]: {shown!r}")


class BrowserEventSource:
    """``new EventSource(url)``: reads, calls again with the last id when the stream ends, until 204."""

    def __init__(self, served: Served, path: str, headers: Mapping[str, str]) -> None:
        self._served = served
        self._path = path
        self._headers = dict(headers)
        self._reader = EventReader()
        self.shown = ""
        self.calls = 0
        self.status = 0
        self.finished = False

    async def connect(self, *, cut_after: int | None = None) -> bool:
        """Make one connection; return whether another one would follow."""
        self.calls += 1
        known = {"Last-Event-ID": self._reader.last_id} if self._reader.last_id else {}
        url = f"{self._served.url}{self._path}"
        read = 0
        async with self._served.http.get(url, headers=self._headers | known) as response:
            self.status = response.status
            if self.status != 200:
                return False
            assert response.headers["Content-Type"].startswith("text/event-stream")
            while not response.content.at_eof() and (cut_after is None or read < cut_after):
                data = await response.content.readany()
                read += len(data)
                self._on_messages(data)
            response.close()
        self._reader.cut_off()
        return True

    def _on_messages(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            assert frame.event == "message", "nothing but unnamed events"
            if frame.data == "[DONE]":
                self.finished = True
            else:
                self.shown += frame.value["content"]


async def newest_session(person: Person) -> str:
    found: str = (await person.sessions())[0]["id"]
    return found


async def stored_text(person: Person, session: str) -> str:
    found: str = (await person.messages(session))[-1]["content"]
    return found


async def test_post_a_message_to_a_session_and_split_lines(visitor: Person) -> None:
    """T-7: POST /api/sessions, POST /api/chat/{sessionId}, GET /api/sessions/{id}/history"""
    made = await visitor.ok("POST", "/api/sessions", {"userId": "u1", "title": "Mine"}, status=201)
    session = made["sessionId"]
    shown = await fetch_and_split_lines(
        visitor.served.http,
        f"{visitor.served.url}/api/chat/{session}",
        {"message": TOLD, "temperature": 0.7},
        visitor.authorization,
    )
    history = await visitor.ok("GET", f"/api/sessions/{session}/history")
    assert [each["role"] for each in history["messages"]] == ["user", "assistant"]
    assert history["messages"][0]["content"] == TOLD
    assert history["messages"][1]["content"] == shown
    assert shown.endswith("data: [DONE] end")


@pytest.mark.parametrize(
    "body",
    [
        {"message": TOLD, "model": "gpt-4"},
        {"message": TOLD, "sessionId": None, "stream": True},
        {"message": TOLD, "sessionId": ""},
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Before"},
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": TOLD, "id": 4},
            ],
            "model": "gpt-4",
            "max_tokens": 100,
        },
    ],
    ids=["message", "null session", "empty session", "messages"],
)
async def test_post_a_message_or_messages_to_the_stream(visitor: Person, body: dict[str, Any]) -> None:
    """T-7: POST /api/chat/stream"""
    shown = await fetch_and_split_lines(
        visitor.served.http, f"{visitor.served.url}/api/chat/stream", body, visitor.authorization
    )
    session = await newest_session(visitor)
    asked, told = await visitor.messages(session)
    assert (asked["content"], told["content"]) == (TOLD, shown)


async def test_a_stream_of_text_carries_nothing_else(visitor: Person) -> None:
    """T-7: no event: lines, no ids where nobody asked for them"""
    answer = await visitor.request("POST", "/api/chat/stream", body={"message": "Only text [[n=5;dt=0.02]]"})
    *frames, done, rest = answer.body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    for frame in frames:
        assert set(json.loads(frame.removeprefix("data: "))) == {"content"}


async def test_post_a_message_and_show_its_response(visitor: Person) -> None:
    """T-7: POST /api/chat also answers ``response``"""
    answer = await visitor.ok("POST", "/api/chat", {"message": TOLD})
    assert answer["response"] == await stored_text(visitor, answer["sessionId"])


async def test_rename_a_session_by_post(visitor: Person) -> None:
    """T-7: POST /api/chat/sessions/{id}"""
    session = await visitor.session()
    renamed = await visitor.ok("POST", f"/api/chat/sessions/{session}", {"title": "Neu", "ok": 1})
    assert (renamed["id"], renamed["title"]) == (session, "Neu")
    assert (await visitor.ok("GET", f"/api/chat/sessions/{session}"))["title"] == "Neu"


async def test_an_event_source_shows_the_text_once_and_is_told_when_to_stop(
    visitor: Person, provider: FakeProvider
) -> None:
    """T-7: GET /api/chat/stream?message=, by a page that forgets to close"""
    source = BrowserEventSource(
        visitor.served, f"/api/chat/stream?message={quote(TOLD)}", visitor.authorization
    )
    while await source.connect():
        assert source.calls < 5
    assert (source.status, source.finished, source.calls) == (204, True, 2)
    session = await newest_session(visitor)
    assert source.shown == await stored_text(visitor, session)
    assert len(await visitor.messages(session)) == 2


@pytest.mark.parametrize("cut", [60, 90, 200, 700])  # the first frame, an id alone, has 46 bytes
async def test_an_event_source_that_loses_its_connection_says_and_shows_nothing_twice(
    visitor: Person, provider: FakeProvider, cut: int
) -> None:
    """T-7, C-4, C-7"""
    session = await visitor.session()
    message = f"Cut {cut} {visitor.id} [[n=14;dt=0.01]]"
    source = BrowserEventSource(
        visitor.served,
        f"/api/chat/stream?message={quote(message)}&sessionId={session}",
        visitor.authorization,
    )
    while await source.connect(cut_after=cut):
        assert source.calls < 40
    assert (source.status, source.finished) == (204, True)
    assert source.shown == await stored_text(visitor, session)
    assert len(source.shown.split()) == 14
    assert len(await visitor.messages(session)) == 2
    assert len(answers(provider, message)) == 1


async def test_an_event_source_that_is_cut_off_before_the_first_word_says_nothing_twice(
    visitor: Person, provider: FakeProvider
) -> None:
    """T-7, C-7: the browser comes back with what it was given, so it must be given something at once"""
    session = await visitor.session()
    message = f"Slow {visitor.id} [[ttft=0.3;n=3]]"
    source = BrowserEventSource(
        visitor.served,
        f"/api/chat/stream?message={quote(message)}&sessionId={session}",
        visitor.authorization,
    )
    await source.connect(cut_after=1)
    assert source.shown == ""
    while await source.connect():
        assert source.calls < 5
    assert source.shown == await stored_text(visitor, session)
    assert len(await visitor.messages(session)) == 2
    assert len(answers(provider, message)) == 1


async def test_an_event_source_stops_calling_when_the_answer_failed(
    visitor: Person, provider: FakeProvider
) -> None:
    """T-7, M-11: what was said is shown, and it does not come back for ever"""
    session = await visitor.session()
    message = f"Fail {visitor.id} [[n=9;rst@4]]"
    source = BrowserEventSource(
        visitor.served,
        f"/api/chat/stream?message={quote(message)}&sessionId={session}",
        visitor.authorization,
    )
    while await source.connect():
        assert source.calls < 5
    assert (source.status, source.finished) == (204, False)
    assert source.shown == await stored_text(visitor, session)
    assert len(answers(provider, message)) == 1


async def test_a_failed_stream_of_text_ends_without_done(visitor: Person) -> None:
    """T-7"""
    answer = await visitor.request("POST", "/api/chat/stream", body={"message": "Fail [[n=9;rst@4]]"})
    assert b"[DONE]" not in answer.body
    assert b"event:" not in answer.body
    assert answer.body.count(b"data: ") >= 1


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_event_source_goes_on_after_a_restart_of_the_server(
    backend: str, provider: FakeProvider, make_url: MakeUrl, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """T-7, C-4: nothing was lost on the way, so nothing has to be taken back"""
    folder, url = tmp_path_factory.mktemp("parlour"), make_url(backend)
    wanted = harness.settings(folder, url=url, provider=provider)
    async with serving(wanted) as served:
        visitor = await served.visitor()
        session = await visitor.session()
        path = f"/api/chat/stream?message={quote('Long [[n=25;dt=0.02]]')}&sessionId={session}"
        source = BrowserEventSource(served, path, visitor.authorization)
        await source.connect(cut_after=500)
    async with serving(wanted) as served:
        visitor.served = source._served = served
        while await source.connect():
            assert source.calls < 5
        assert source.shown == await stored_text(visitor, session)
    assert (source.status, source.finished) == (204, True)
    assert len(source.shown.split()) == 25


async def test_an_event_source_of_somebody_else_gets_nothing(visitor: Person, stranger: Person) -> None:
    """A-045"""
    reply = await visitor.send("Mine [[n=3]]")
    for place in (":1.2", ":end", "", ":x"):
        answer = await stranger.request(
            "GET", "/api/chat/stream?message=x", headers={"Last-Event-ID": f"{reply['runId']}{place}"}
        )
        assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_an_event_source_that_comes_back_when_the_log_is_gone_is_told_to_stop(visitor: Person) -> None:
    """T-7: what it holds is all it gets; it cannot take anything back"""
    reply = await visitor.send("Long ago [[n=3]]")
    await forget_logs(visitor.served)
    path = "/api/chat/stream?message=x"
    first = await visitor.request("GET", path, headers={"Last-Event-ID": f"{reply['runId']}:1.5"})
    assert first.status == 200
    assert first.body.endswith(f"id: {reply['runId']}:end\n\n".encode())
    assert b"data:" not in first.body
    last = await visitor.request("GET", path, headers={"Last-Event-ID": f"{reply['runId']}:end"})
    assert (last.status, last.body) == (204, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/chat/stream", 422),
        ("/api/chat/stream?message=", 422),
        ("/api/chat/stream?message=%00", 422),
        ("/api/chat/stream?message=a%00b", 422),
        ("/api/chat/stream?message=" + "x" * 10_001, 422),
        ("/api/chat/stream?message=a&sessionId=" + "x" * 65, 422),
        ("/api/chat/stream?message=a&sessionId=%00", 404),
        ("/api/chat/stream?message=a&sessionId=nobody", 404),
    ],
)
async def test_a_call_by_address_that_cannot_be_meant_is_refused(
    visitor: Person, path: str, status: int
) -> None:
    """C-10, D2"""
    answer = await visitor.request("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert await visitor.sessions() == []


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"messages": []}, {"messages": [{"role": "assistant", "content": "a"}]}, {"message": " "}),
        *({"message": "a\0"}, {"messages": [{"role": "user", "content": "\ud800"}]}, {"messages": "a"}),
        *({"message": "a", "sessionId": "x" * 100}, {"messages": [{"role": "user"}]}),
    ],
)
async def test_a_body_that_cannot_be_meant_is_refused(visitor: Person, body: dict[str, Any]) -> None:
    """C-10"""
    answer = await visitor.request("POST", "/api/chat/stream", body=body)
    assert answer.status == (404 if body.get("sessionId") else 422)
    assert await visitor.sessions() == []


# --- a page of ours without a token: a visitor by cookie ---


@pytest.fixture(
    params=[
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "{url}"},
        {"Referer": "{url}/some/page"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def page(request: pytest.FixtureRequest, served: Served) -> dict[str, str]:
    """Headers that a page of ours sends without doing anything for it."""
    return {name: value.format(url=served.url) for name, value in request.param.items()}


def cookie_of(answer: Answer) -> dict[str, str]:
    """Return the Cookie header that a browser sends after this answer."""
    (header,) = answer.headers.getall("Set-Cookie")
    jar = SimpleCookie(header)
    ((name, morsel),) = jar.items()
    assert morsel["httponly"]
    assert morsel["samesite"].lower() == "lax"
    assert morsel["path"] == "/api"
    return {"Cookie": f"{name}={morsel.value}"}


async def test_a_page_of_ours_without_a_token_is_a_visitor_by_cookie(
    served: Served, page: dict[str, str]
) -> None:
    """T-7"""
    made = await served.request("POST", "/api/sessions", body={}, headers=page)
    assert made.status == 201
    known = page | cookie_of(made)
    session = made.json["sessionId"]
    shown = await fetch_and_split_lines(
        served.http, f"{served.url}/api/chat/{session}", {"message": TOLD}, known
    )
    history = await served.request("GET", f"/api/sessions/{session}/history", headers=known)
    assert history.json["messages"][-1]["content"] == shown
    assert "Set-Cookie" not in history.headers, "known already"
    stranger = await served.request("GET", f"/api/sessions/{session}/history", headers=page)
    assert stranger.status == 404


async def test_an_event_source_without_a_token_keeps_its_visitor(served: Served) -> None:
    """T-7: the cookie comes with the stream's own headers"""
    headers = {"Sec-Fetch-Site": "same-origin"}
    answer = await served.request("GET", f"/api/chat/stream?message={quote(TOLD)}", headers=headers)
    reader = EventReader()
    reader.feed(answer.body)
    again = headers | cookie_of(answer) | {"Last-Event-ID": reader.frames[0].id}
    rest = await served.request("GET", "/api/chat/stream?message=x", headers=again)
    reader.cut_off()
    assert rest.status == 200
    assert reader.text.startswith("Zwölf")
    done = await served.request(
        "GET", "/api/chat/stream?message=x", headers=again | {"Last-Event-ID": reader.last_id}
    )
    assert done.status == 204


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Referer": "https://evil.example/?{url}"},
        {"Referer": "{url}.evil.example/"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{url}"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://["},
    ],
    ids=str,
)
async def test_pages_of_others_cannot_use_a_visitors_cookie(served: Served, headers: dict[str, str]) -> None:
    """T-7, A-028: neither to speak nor to read"""
    ours = {"Sec-Fetch-Site": "same-origin"}
    made = await served.request("POST", "/api/sessions", body={}, headers=ours)
    cookie, before = cookie_of(made), await counts(served)
    foreign = {name: value.format(url=served.url) for name, value in headers.items()} | cookie
    for method, path, body in (
        ("POST", "/api/sessions", {}),
        ("GET", "/api/chat/stream?message=hi", None),
        ("POST", "/api/chat/stream", {"message": "hi"}),
        ("POST", f"/api/chat/{made.json['id']}", {"message": "hi"}),
        ("GET", f"/api/sessions/{made.json['id']}/history", None),
        ("POST", f"/api/chat/sessions/{made.json['id']}", {"title": "x"}),
    ):
        answer = await served.request(method, path, body=body, headers=foreign)
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated"), (method, path)
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert await counts(served) == before


async def test_the_cookie_opens_nothing_but_the_aliases(served: Served) -> None:
    """T-7"""
    ours = {"Sec-Fetch-Site": "same-origin"}
    known = ours | cookie_of(await served.request("POST", "/api/sessions", body={}, headers=ours))
    for path in ("/api/chat/sessions", "/api/me"):
        assert (await served.request("GET", path, headers=known)).status == 401
    assert (await served.request("POST", "/api/chat", body={"message": "a"}, headers=known)).status == 401


async def test_parallel_streams_of_one_session_show_their_own_text(visitor: Person) -> None:
    """T-7, C-8"""
    session = await visitor.session()
    shown = await asyncio.gather(
        *(
            fetch_and_split_lines(
                visitor.served.http,
                f"{visitor.served.url}/api/chat/{session}",
                {"message": f"Number {n} [[n={n + 2}]]"},
                visitor.authorization,
            )
            for n in range(3)
        )
    )
    told = {each["content"] for each in (await visitor.messages(session))[1::2]}
    assert set(shown) == told
    assert [len(text.split()) for text in shown] == [2, 3, 4]
