"""What the refusals of real servers mean. The bodies are shaped as those servers word them."""

from datetime import UTC, datetime

import orjson
import pytest

from parlour.llm.wire.failures import LONGEST_CAUSE, Complaint, complaint_of, failure, retry_after
from parlour.vocabulary.errors import (
    BadKey,
    ContextTooLong,
    Garbled,
    ModelMissing,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    Unreachable,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

OPENAI_LONG = {
    "error": {
        "message": "This model's maximum context length is 128000 tokens, your messages resulted in 130000.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}
VLLM_LONG = {"object": "error", "message": "This model's maximum context length is 4096", "code": 400}
LLAMA_CPP_LONG = {"error": {"code": 400, "type": "exceed_context_size_error", "message": "too long"}}
GATEWAY = {"error": {"code": 502, "message": "Provider returned error"}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, OPENAI_LONG, ContextTooLong),
        (404, {"error": "model 'llama9' not found"}, ModelMissing),  # Ollama
        (400, VLLM_LONG, ContextTooLong),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
            BadKey,
        ),
        (429, [{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}], RateLimited),
        (429, {"error": {"message": "engine overloaded", "type": "engine_overloaded_error"}}, RateLimited),
        (400, LLAMA_CPP_LONG, ContextTooLong),
        (400, {"error": {"code": "content_filter", "message": "ResponsibleAIPolicyViolation"}}, Refused),
        (200, GATEWAY, Unreachable),  # in a stream
        (200, {"error": {"code": "429", "message": "slow down"}}, RateLimited),
        (200, {"error": {"type": "server_error", "message": "The server had an error"}}, Overloaded),
        (200, {"error": {"message": "something odd"}}, ProviderError),
        (402, {"error": {"message": "Insufficient Balance"}}, RateLimited),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "bad"}]}, Rejected),  # FastAPI
        (500, {}, Overloaded),
        (599, None, Overloaded),
        (301, None, Garbled),
        (418, "teapot", Rejected),
    ],
)
def test_each_server_in_its_own_words(status: int, body: object, kind: type[ProviderError]) -> None:
    assert type(failure(status, complaint_of(orjson.dumps(body)))) is kind


def test_a_page_of_a_proxy_is_its_own_message() -> None:
    page = b"<html>\n  <h1>502 Bad Gateway</h1>\n\xff</html>" + b"x" * 5000
    error = failure(502, complaint_of(page))

    assert isinstance(error, Unreachable)
    assert error.cause is not None
    assert error.cause.startswith("HTTP 502: <html> <h1>502 Bad Gateway</h1> \ufffd</html>")
    assert len(error.cause) <= LONGEST_CAUSE + len("HTTP 502: ")


def test_the_operator_gets_the_code_and_the_reader_does_not() -> None:
    error = failure(400, complaint_of(orjson.dumps(OPENAI_LONG)))

    assert error.cause is not None
    assert error.cause.startswith("HTTP 400: context_length_exceeded: This model's maximum context length")
    assert "128000" not in str(error)


@pytest.mark.parametrize("secret", ["", "none"])
def test_a_placeholder_is_no_secret(secret: str) -> None:
    assert failure(500, Complaint(message="none of it"), secret=secret).cause == "HTTP 500: none of it"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 -0000"}, 30),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
