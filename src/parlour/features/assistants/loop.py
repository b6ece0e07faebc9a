"""From a prompt to what a reader is told: the model's words, and the sources that they point to."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from parlour.features.assistants.service import Agent
from parlour.llm.model import Chosen, Finish, Prompt, Sources, Text, ToolCall
from parlour.vocabulary.citation import Citation, Passage

QUOTE_LENGTH = 600  # characters of a passage that travel with a citation; enough to judge it by

_MARKER = re.compile(r"\[(\d{1,2})\]")
_LONGEST_MARKER = len("[99]")


@dataclass(frozen=True, slots=True)
class Cited:
    """The text that comes next points to this source for the first time."""

    citation: Citation


LoopEvent = Text | Cited | Chosen | ToolCall | Finish


async def loop(agent: Agent, prompt: Prompt) -> AsyncGenerator[LoopEvent, None]:
    """Answer ``prompt`` as ``agent``. Raises what the model raises."""
    pointers = _Pointers(prompt.passages, prompt.partial)
    async with aclosing(agent.model.stream(prompt)) as events:
        async for event in events:
            if isinstance(event, Text):
                for citation in pointers.found_in(event.content):
                    yield Cited(citation)
                yield event
            elif isinstance(event, Sources):
                pointers.sources = event.passages
            else:
                yield event


class _Pointers:
    """Finds ``[n]`` in text that arrives in pieces; each source is told once."""

    def __init__(self, sources: tuple[Passage, ...], partial: str) -> None:
        self.sources = sources
        self._told: set[int] = set()
        self._tail = ""
        self._partial = partial

    def found_in(self, content: str) -> list[Citation]:
        if self._partial:
            # What was said before a restart points to the same sources, told anew by the new owner.
            content, self._partial = self._partial + content, ""
        text = self._tail + content
        if "[" not in text:
            self._tail = ""
            return []
        citations = []
        for match in _MARKER.finditer(text):
            number = int(match[1])
            if 1 <= number <= len(self.sources) and number not in self._told:
                self._told.add(number)
                citations.append(_citation(number, self.sources[number - 1]))
        self._tail = text[-(_LONGEST_MARKER - 1) :]
        return citations


def _citation(number: int, passage: Passage) -> Citation:
    quote = passage.text
    if len(quote) > QUOTE_LENGTH:
        quote = quote[:QUOTE_LENGTH].rsplit(maxsplit=1)[0] + " …"
    return Citation(
        number=number,
        passage_id=passage.id,
        document_id=passage.document_id,
        title=passage.title_path[-1] if passage.title_path else passage.document_title,
        document_title=passage.document_title,
        quote=quote,
        url=passage.url,
        page=passage.page,
    )
