"""How errors look over HTTP: problem documents (RFC 9457), by one table from code to status.

A reader sees the error's own sentence, a stable code and the request's id; never an input, a path, or a
stack. What an operator needs to know is in the log under the same id. Under ``/v1`` the same errors are told
in OpenAI's words.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from parlour.entrypoints.openai_api import errors as openai_errors
from parlour.features.limits.headers import openai_headers, ratelimit_headers
from parlour.vocabulary.errors import (
    FieldError,
    InvalidInput,
    ParlourError,
    RunFailed,
    TooMany,
    Unauthenticated,
)

log = structlog.get_logger(__name__)

REQUEST_ID_KEY: Final = "parlour.request_id"
MEDIA_TYPE: Final = "application/problem+json"
LONGEST_FIELD: Final = 200


class Kind(NamedTuple):
    """What a code is over HTTP."""

    status: int
    title: str
    retry_after: int | None = None  # seconds, where the error itself does not know better
    close: bool = False  # the connection is in a state in which nobody should send more over it


KINDS: Final[Mapping[str, Kind]] = {
    "invalid_json": Kind(400, "The body is not JSON"),
    "unknown_host": Kind(400, "Unknown host"),
    "bad_request": Kind(400, "The request cannot be read"),
    "unauthenticated": Kind(401, "Who are you?"),
    "forbidden": Kind(403, "Not allowed"),
    "not_found": Kind(404, "Not found"),
    "no_such_route": Kind(404, "No such address"),
    "method_not_allowed": Kind(405, "This address does not do that"),
    "request_timeout": Kind(408, "The request came too slowly", close=True),
    "conflict": Kind(409, "Contradiction"),
    "too_large": Kind(413, "Too large", close=True),
    "invalid_input": Kind(422, "Fields need mending"),
    "too_many": Kind(429, "Too much at once", 1),
    "over_budget": Kind(429, "The budget is used up"),
    "session_full": Kind(429, "The conversation is full"),
    "internal_error": Kind(500, "Something went wrong"),
    "run_failed": Kind(503, "No answer"),
    "provider_error": Kind(503, "No answer"),
    "provider_overloaded": Kind(503, "The model is busy", 5),
    "provider_rate_limited": Kind(503, "The model is busy", 5),
    "context_too_long": Kind(503, "The conversation is too long"),
    "refused": Kind(503, "The model declined"),
    "provider_rejected": Kind(503, "The model takes no such question"),
    "provider_key": Kind(503, "The model is not set up"),
    "model_missing": Kind(503, "The model is not available"),
    "provider_unreachable": Kind(503, "The model is out of reach"),
    "provider_timeout": Kind(503, "The model took too long"),
    "empty_answer": Kind(503, "The model said nothing"),
    "provider_garbled": Kind(503, "The model cannot be understood"),
    "too_expensive": Kind(503, "The answer would cost too much"),
    "no_provider": Kind(503, "No model can answer", 10),
    "unavailable": Kind(503, "Not right now", 2),
    "storage_full": Kind(507, "No room left", 30),
}


class InvalidJson(ParlourError):
    """The body says it is JSON, and is not."""

    code = "invalid_json"
    sentence = "The body is not valid JSON in UTF-8."


class UnknownHost(ParlourError):
    """The request is for another server's name."""

    code = "unknown_host"
    sentence = "This server does not answer for that host."


class SlowRequest(ParlourError):
    """The body did not arrive in time."""

    code = "request_timeout"
    retryable = True
    sentence = "The body did not arrive in time."


class _BadRequest(ParlourError):
    """What the framework refused without a code of ours."""

    code = "bad_request"
    sentence = "The request cannot be read."


class _NoSuchRoute(ParlourError):
    """Nothing is served at this address."""

    code = "no_such_route"
    sentence = "There is nothing at this address."


class _MethodNotAllowed(ParlourError):
    """The address exists, and does something else."""

    code = "method_not_allowed"
    sentence = "This address does not take that method."


_BY_STATUS: Final[Mapping[int, type[ParlourError]]] = {404: _NoSuchRoute, 405: _MethodNotAllowed}


def problem(error: ParlourError, scope: Scope, *, headers: Mapping[str, str] | None = None) -> Response:
    """Turn an error into the response that tells it."""
    failed = error if isinstance(error, RunFailed) else None
    code = failed.run_code if failed else error.code
    retryable = failed.run_retryable if failed else error.retryable
    kind = KINDS.get(code, KINDS[error.code])
    sent = dict(headers or {}) | _headers(error, kind)
    if scope["path"].startswith(openai_errors.PREFIX):
        status = openai_errors.kind_of(code, kind.status).status
        if isinstance(error, TooMany):
            sent |= openai_headers(error.allowances)
        sent |= openai_errors.retry_headers(code, retryable=retryable)
        document = openai_errors.error_json(error, status=kind.status)
        return Response(orjson.dumps(document), status, sent, "application/json")
    fields = error.fields if isinstance(error, InvalidInput) else ()
    document = {
        "type": f"urn:parlour:error:{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": str(error),
        "code": code,
        "retryable": retryable,
        "requestId": scope.get(REQUEST_ID_KEY, ""),
        "errors": [{"field": field.field, "message": field.message, "code": field.code} for field in fields],
        **({"runId": failed.run_id} if failed else {}),
    }
    return Response(orjson.dumps(document), kind.status, sent, MEDIA_TYPE)


def _headers(error: ParlourError, kind: Kind) -> dict[str, str]:
    sent = ratelimit_headers(error.allowances) if isinstance(error, TooMany) else {}
    seconds = error.retry_after if error.retry_after is not None else kind.retry_after
    if seconds is not None:
        sent["Retry-After"] = str(math.ceil(seconds))
    if isinstance(error, Unauthenticated):
        sent["WWW-Authenticate"] = "Bearer"
    if kind.close:
        sent["Connection"] = "close"
    return sent


def install(app: FastAPI, *, count: Callable[[str], None]) -> None:
    """Answer every expected error of ``app`` with its problem document; ``count`` gets each code."""

    async def on_parlour_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ParlourError)  # noqa: S101 - registered for this type
        count(error.run_code if isinstance(error, RunFailed) else error.code)
        if error.cause is not None:
            log.warning("request failed", code=error.code, cause=error.cause)
        return problem(error, request.scope)

    async def on_invalid_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return await on_parlour_error(request, _from_validation(error))

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        ours = _BY_STATUS.get(error.status_code, _BadRequest)()
        count(ours.code)
        return problem(ours, request.scope, headers=error.headers)

    app.add_exception_handler(ParlourError, on_parlour_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_exception)


_IN_WORDS: Final[Mapping[str, str]] = {
    "missing": "This field is needed.",
    "extra_forbidden": "There is no such field.",
    "string_type": "This must be text.",
    "bool_type": "This must be true or false.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "model_attributes_type": "This must be a JSON object; send it with Content-Type: application/json.",
}


def _from_validation(error: RequestValidationError) -> ParlourError:
    details = error.errors()
    if any(detail["type"] == "json_invalid" for detail in details):
        return InvalidJson()
    fields = [_field(detail) for detail in details]
    return InvalidInput(*fields, sentence=f"{fields[0].field}: {fields[0].message}")


def _field(detail: Mapping[str, Any]) -> FieldError:
    place = [str(step) for step in detail["loc"]]
    # The first step says where: body, query, path, header. Names tell readers enough.
    name = ".".join(place[1:]) or place[0]
    # Only rules are told, never the input: pydantic keeps that apart in `input` and `ctx`.
    message = _IN_WORDS.get(detail["type"]) or f"{detail['msg']}."
    return FieldError(name[:LONGEST_FIELD], message, detail["type"])
