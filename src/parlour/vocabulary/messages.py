"""The states of messages and runs."""

from enum import StrEnum


class MessageRole(StrEnum):
    """Who said it."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class Status(StrEnum):
    """How far a message, or the run that makes it, has come. The last three are final."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Tell whether nothing will be added any more."""
        return self in (Status.COMPLETED, Status.STOPPED, Status.FAILED)


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    STOPPED = "stopped"
    FILTERED = "filtered"
    TOOL_CALLS = "tool_calls"
