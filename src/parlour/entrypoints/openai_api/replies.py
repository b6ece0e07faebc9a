"""An assistant's reply in OpenAI's shape: as one document, and chunk by chunk from the events of its log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from parlour.entrypoints.openai_api.errors import error_json
from parlour.entrypoints.openai_api.wire import Chunks, Head, Json, completion_json, error_event
from parlour.features.chat.values import Row, Run
from parlour.infra.web.sse import DONE
from parlour.vocabulary.errors import RunFailed
from parlour.vocabulary.events import Entry, EventKind, text_after
from parlour.vocabulary.messages import FinishReason


def head_of(run: Run, model: str) -> Head:
    """Return what every part of a reply repeats; ``model`` is the assistant that was asked."""
    return Head(f"chatcmpl-{run.id}", _seconds(run.created_at), model)


def reply_document(run: Run, row: Row, *, model: str) -> Json:
    """Return a whole reply, from its stored message."""
    reason = row["finish_reason"]
    return completion_json(
        head_of(run, model),
        text=row["content"],
        calls=(),
        finish=FinishReason(reason) if reason else FinishReason.STOP,
        usage=_usage(row["usage"]),
        extra=_beside(run, row["citations"] or [], row),
    )


class Teller:
    """Turns the events of a reply into chunks, for a reader who cannot take anything back."""

    def __init__(self, run: Run, chunks: Chunks) -> None:
        """Begin to tell a run."""
        self.over = False
        self._run = run
        self._chunks = chunks
        self._begun = False
        self._citations: list[Row] = []
        self._answering: Row = {}
        self._text_length = 0

    def tell(self, entries: Sequence[Entry]) -> bytes:
        """Return the chunks of these events; ``over`` is set after the last one."""
        pieces = []
        for entry in entries:
            if not self._begun:
                self._begun = True
                pieces.append(self._chunks.first(session_id=self._run.session_id, run_id=self._run.id))
            pieces.append(self._told(entry))
            if self.over:
                break
        return b"".join(pieces)

    def _told(self, entry: Entry) -> bytes:
        match entry.kind:
            case EventKind.TEXT:
                self._text_length += len(str(entry.value["content"]))
                return self._chunks.delta(entry.data)
            case EventKind.CITATION:
                self._citations.append(entry.value)
            case EventKind.META:
                self._answering = entry.value
            case EventKind.REWIND | EventKind.RETRACT if self._takes_back(entry):
                return self._taken_back(entry)
            case EventKind.DONE:
                return self._ended(entry.value)
            case EventKind.ERROR:
                return self._failed(entry.value)
            case _:
                pass
        return b""

    def _takes_back(self, entry: Entry) -> bool:
        return len(text_after("x" * self._text_length, entry)) < self._text_length

    def _taken_back(self, entry: Entry) -> bytes:
        """End: the shape has no words for text that its reader holds and shall not keep."""
        self.over = True
        if entry.kind is EventKind.RETRACT:
            return self._chunks.finish(FinishReason.FILTERED, **self._extra({})) + DONE
        return self._failed(
            {"code": "unavailable", "message": "The answer broke off. Ask again.", "retryable": True}
        )

    def _ended(self, done: Row) -> bytes:
        self.over = True
        reason = done["finishReason"]
        return (
            self._chunks.finish(
                FinishReason(reason) if reason else FinishReason.STOP, **self._extra(self._answering | done)
            )
            + self._chunks.usage(_usage(done["usage"]))
            + DONE
        )

    def _failed(self, error: Row) -> bytes:
        self.over = True
        failed = RunFailed(
            code=error["code"], sentence=error["message"], retryable=error["retryable"], run_id=self._run.id
        )
        return error_event(error_json(failed, status=503))

    def _extra(self, answering: Row) -> Json:
        return _beside(self._run, self._citations, answering)


def _beside(run: Run, citations: list[Row], answering: Row) -> Json:
    """Return what OpenAI's shape has no place for."""
    return {
        "session_id": run.session_id,
        "message_id": run.message_id,
        "run_id": run.id,
        "provider": answering.get("provider"),
        "model": answering.get("model"),
        "citations": citations,
    }


def _usage(usage: Row | None) -> Json | None:
    """Return stored usage in OpenAI's words."""
    if usage is None:
        return None
    asked, said = usage["inputTokens"], usage["outputTokens"]
    return {
        "prompt_tokens": asked,
        "completion_tokens": said,
        "total_tokens": asked + said,
        "prompt_tokens_details": {"cached_tokens": usage.get("cachedTokens", 0)},
    }


def _seconds(moment: datetime) -> Any:  # noqa: ANN401 - a JSON number
    return int(moment.timestamp())
