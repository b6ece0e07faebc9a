"""Greetings, thanks and goodbyes: answered in kind, without pretending that documents were asked."""

from parlour.llm.words import tokens

_GREETINGS = frozenset(
    [
        "hi",
        "hello",
        "hey",
        "hiya",
        "howdy",
        "greetings",
        "morning",
        "afternoon",
        "evening",
        "hallo",
        "moin",
        "bonjour",
        "hola",
        "ciao",
        "salut",
    ]
)
_THANKS = frozenset(
    ["thanks", "thank", "thx", "ty", "cheers", "danke", "merci", "gracias", "grazie", "obrigado"]
)
_FAREWELLS = frozenset(["bye", "goodbye", "cya", "farewell", "tschuss", "adieu", "adios"])
# What may stand around them without asking anything.
_AROUND = frozenset(
    [
        "a",
        "again",
        "all",
        "and",
        "awesome",
        "cool",
        "day",
        "dear",
        "everyone",
        "for",
        "fine",
        "friend",
        "good",
        "great",
        "help",
        "helpful",
        "helped",
        "i",
        "it",
        "lot",
        "many",
        "much",
        "my",
        "nice",
        "now",
        "of",
        "ok",
        "okay",
        "one",
        "perfect",
        "so",
        "that",
        "thats",
        "the",
        "there",
        "this",
        "to",
        "very",
        "well",
        "works",
        "you",
        "your",
        "have",
    ]
)


def courtesy(message: str) -> str | None:
    """Return a short reply if the whole message is a greeting, thanks or goodbye; None for any question."""
    words = set(tokens(message))
    if not words <= _GREETINGS | _THANKS | _FAREWELLS | _AROUND:
        return None
    if words & _THANKS:
        return "You're welcome. Ask me whenever there is something else you would like to know."
    if words & _FAREWELLS:
        return "Goodbye. This conversation is kept, so you can come back to it."
    if words & _GREETINGS:
        return "Hello. What would you like to know? I answer from my documents and show where I found it."
    return None
