"""What an answer used: tokens by kind, and whether they were counted or estimated."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call.

    ``cached_tokens`` (read from the provider's prompt cache) and ``cache_write_tokens`` (put into it) are
    parts of ``input_tokens``; thinking is a part of ``output_tokens``. ``estimated`` says that the provider
    did not report them.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """Return all tokens, in and out."""
        return self.input_tokens + self.output_tokens
