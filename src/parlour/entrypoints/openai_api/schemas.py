"""What OpenAI's clients send, as far as it means something here.

Three kinds of fields. Those below are used. Hints that change no meaning (``seed``, ``store``,
``service_tier``, penalties, ``reasoning_effort`` and whatever comes next) are ignored, as servers of this
kind do. What would make the answer another one than was asked for, were it ignored, is refused in
:mod:`parlour.entrypoints.openai_api.reading`.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Json = dict[str, Any]


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore")


class StreamOptions(_Tolerant):
    """How to stream."""

    include_usage: bool = False


class ChatBody(_Tolerant):
    """A request for a chat completion, in OpenAI's words."""

    model: str = Field(min_length=1, max_length=200, description="An assistant, `auto`, or `provider/model`.")
    messages: list[Json] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Json] | None = Field(None, max_length=128)
    tool_choice: str | Json | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = Field(None, max_length=4_000)
    response_format: Json | None = None
    metadata: Json | None = Field(
        None,
        description="`session_id` goes on with a stored session; `session` `user` with the one of `user`.",
    )
    user: str | None = Field(None, max_length=200)
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    modalities: list[str] | None = None
    audio: Json | None = None
    functions: list[Json] | None = None
    function_call: str | Json | None = None


class EmbeddingsBody(_Tolerant):
    """A request for embeddings, in OpenAI's words."""

    model: str = Field(min_length=1, max_length=200)
    input: str | list[Any]
    encoding_format: str | None = None
    dimensions: int | None = Field(None, ge=1, le=65_536)
