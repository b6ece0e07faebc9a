"""Who is asking."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person may do, least first; each role may do what the ones before it may."""

    VISITOR = "visitor"
    USER = "user"
    EDITOR = "editor"
    OPERATOR = "operator"
    OWNER = "owner"

    def includes(self, other: "Role") -> bool:
        """Tell whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Scope(StrEnum):
    """What an API key may do, of all that its person may."""

    CHAT = "chat"  # send messages, read and stop their answers, change one's own conversations
    READ = "read"  # read one's own conversations and figures
    EMBEDDINGS = "embeddings"  # turn texts into vectors
    ADMIN = "admin"  # what operators do


@dataclass(frozen=True, slots=True)
class Principal:
    """The person behind a request. Every row this person may see carries ``person_id``.

    ``key_id`` and ``scopes`` are set when an API key speaks for them: it may do no more than its scopes say.
    ``plan`` names the allowances they have; ``address`` is where the request came from, empty where there is
    no request.
    """

    person_id: str
    role: Role = Role.VISITOR
    key_id: str | None = None
    scopes: frozenset[str] | None = None
    plan: str | None = None
    address: str = ""

    def may(self, scope: Scope) -> bool:
        """Tell whether the key in use allows this; a person without one may do all that their role allows."""
        return self.scopes is None or scope in self.scopes
