"""What an answer used: tokens by kind, and whether they were counted or estimated."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call. ``estimated`` says that the provider did not report them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False
