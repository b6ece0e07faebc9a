"""Joins what one model said with what the next one says, so that no word is repeated and none is lost."""


class Joiner:
    """Takes the words of a model that goes on from ``said``."""

    def __init__(self, said: str) -> None:
        """Expect a continuation of ``said``."""
        self._said = said
        self._held = ""
        self.settled = not said

    def feed(self, content: str) -> str:
        """Return what is to be shown."""
        if self.settled:
            return content
        self._held += content
        if self._said.startswith(self._held):
            return ""
        self.settled = True
        if len(self._said) > 20 and self._held.startswith(self._said):
            return self._held[len(self._said) :]
        return self._held

    def end(self) -> str:
        """Return what is left to show."""
        rest = "" if self.settled or self._held == self._said else self._held
        self.settled = True
        return rest
