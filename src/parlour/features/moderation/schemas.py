"""What travels: flags as the JSON that operators see."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Review(BaseModel):
    """Whether somebody has looked at a flag."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reviewed: bool


def flag_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a flag as clients see it; its text is in the message that it names, or there is an excerpt."""
    return {
        "id": row["id"],
        "stage": row["stage"],
        "rule": row["rule"],
        "action": row["action"],
        "detail": row["detail"],
        "personId": row["person_id"],
        "sessionId": row["session_id"],
        "messageId": row["message_id"],
        "runId": row["run_id"],
        "keyId": row["key_id"],
        "excerpt": row["excerpt"],
        "createdAt": row["created_at"],
        "reviewedAt": row["reviewed_at"],
        "reviewedBy": row["reviewed_by"],
    }
