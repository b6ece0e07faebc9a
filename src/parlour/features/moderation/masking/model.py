"""A model around a model: what it is given is masked, what it says is unmasked (M-10, B-8)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import orjson

from parlour.features.moderation.apart import apart
from parlour.features.moderation.masking.masker import Masker, Unmasker
from parlour.llm.model import Chosen, Finish, Model, ModelEvent, Prompt, Sources, Text, ToolCall, Turn
from parlour.vocabulary.citation import Passage
from parlour.vocabulary.errors import ProviderError


class Masked:
    """Lets no personal data through to ``model``; whoever reads its answer notices nothing.

    The system prompt is the owner's own and stays as it is, unless it came from the caller; so do pictures.
    """

    def __init__(self, model: Model, masker: Masker, *, system: bool = False) -> None:
        """Mask by ``masker``, which afterwards has the receipt; with ``system`` also the instructions."""
        self._system = system
        self._model = model
        self._masker = masker
        self.provider = model.provider
        self.name = model.name

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Answer ``prompt`` as :class:`parlour.llm.model.Model` says."""
        originals = {passage.id: passage for passage in prompt.passages}
        unmasker = self._masker.unmasker()
        masked = await apart(_size(prompt), lambda: self._masked(prompt))
        async with aclosing(self._model.stream(masked)) as events:
            try:
                async for event in events:
                    if isinstance(event, Text):
                        if said := unmasker.feed(event.content):
                            yield Text(said)
                        continue
                    if isinstance(event, ToolCall | Finish) and (rest := unmasker.end()):
                        yield Text(rest)
                    yield self._unmasked(event, originals)
            except ProviderError:
                for text in _left(unmasker):
                    yield text
                raise

    def _masked(self, prompt: Prompt) -> Prompt:
        mask = self._masker.mask
        return replace(
            prompt,
            system=mask(prompt.system) if self._system else prompt.system,
            turns=tuple(map(self._turn, prompt.turns)),
            passages=tuple(map(self._passage, prompt.passages)),
            partial=mask(prompt.partial),
        )

    def _turn(self, turn: Turn) -> Turn:
        mask = self._masker.mask
        calls = tuple(replace(call, arguments=mask(call.arguments)) for call in turn.tool_calls)
        return replace(turn, content=mask(turn.content), tool_calls=calls)

    def _passage(self, passage: Passage) -> Passage:
        mask = self._masker.mask
        return replace(
            passage,
            text=mask(passage.text),
            document_title=mask(passage.document_title),
            title_path=tuple(map(mask, passage.title_path)),
        )

    def _unmasked(self, event: ModelEvent, originals: dict[str, Passage]) -> ModelEvent:
        match event:
            case ToolCall():
                # Inside a JSON string a value must be written as JSON writes it.
                arguments = self._masker.unmask(event.arguments, written=_in_json)
                return replace(event, arguments=arguments)
            case Sources():
                return Sources(tuple(originals.get(passage.id, passage) for passage in event.passages))
            case Chosen():
                self.provider, self.name = event.provider, event.model
                return event
            case _:
                return event


def _size(prompt: Prompt) -> int:
    said = sum(
        len(turn.content) + sum(len(call.arguments) for call in turn.tool_calls) for turn in prompt.turns
    )
    said += len(prompt.system) + len(prompt.partial)
    return said + sum(len(passage.text) for passage in prompt.passages)


def _left(unmasker: Unmasker) -> list[Text]:
    rest = unmasker.end()
    return [Text(rest)] if rest else []


def _in_json(value: str) -> str:
    return orjson.dumps(value).decode()[1:-1]
