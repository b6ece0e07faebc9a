"""Text made fit to be kept: no NUL, no lone surrogates, whatever a provider or a file says.

PostgreSQL refuses NUL and no encoder takes a lone surrogate, so one such character in an answer would lose
the whole message.
"""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def well_formed(text: str) -> str:
    """Return ``text`` without NUL, with each lone surrogate replaced by U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class TextMender:
    """Makes a stream of pieces well-formed, and joins a character that was cut between two pieces."""

    def __init__(self) -> None:
        """Begin a text."""
        self._high = ""

    def mend(self, piece: str) -> str:
        """Return what of the text is certain now; half a character waits for its other half."""
        piece = self._high + piece.replace("\0", "")
        self._high = ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            self._high = piece[-1]
            piece = piece[:-1]
        return well_formed(piece)

    def rest(self) -> str:
        """Return what waited in vain."""
        high, self._high = self._high, ""
        return _REPLACEMENT if high else ""
