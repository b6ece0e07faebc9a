"""Passages of knowledge, and the pointers from an answer to them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that may support an answer. ``title_path`` is its place, outermost first."""

    id: str
    document_id: str
    document_title: str
    title_path: tuple[str, ...]
    text: str
    score: float = 0.0
    url: str | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A numbered source of an answer: ``[number]`` in its text points here."""

    number: int
    passage_id: str
    document_id: str
    title: str
    document_title: str
    quote: str
    url: str | None = None
    page: int | None = None
