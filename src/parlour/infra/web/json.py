"""JSON out, by orjson."""

from typing import Any

import orjson
from starlette.responses import Response


class JsonResponse(Response):
    """A JSON body; values are plain."""

    media_type = "application/json"

    def __init__(
        self,
        content: Any,  # noqa: ANN401 - anything that orjson writes
        status_code: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer with ``content``."""
        super().__init__(content, status_code, headers)

    def render(self, content: Any) -> bytes:  # noqa: ANN401
        """Encode ``content``."""
        return orjson.dumps(content)
