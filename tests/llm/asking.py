"""Ask a model in one line, and keep everything that came of it."""

from contextlib import aclosing
from dataclasses import dataclass, field

from parlour.llm.model import Finish, Model, ModelEvent, Prompt, Text, Turn
from parlour.vocabulary.errors import ProviderError


@dataclass
class Answer:
    """What was said, and how it ended: with a finish or with an error."""

    events: list[ModelEvent] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def pieces(self) -> list[str]:
        """The text as it came."""
        return [event.content for event in self.events if isinstance(event, Text)]

    @property
    def text(self) -> str:
        """The text."""
        return "".join(self.pieces)

    @property
    def finish(self) -> Finish:
        """The end, if it was a regular one."""
        assert self.error is None, self.error
        assert isinstance(self.events[-1], Finish)
        return self.events[-1]


def question(text: str, *, partial: str = "", max_tokens: int | None = None) -> Prompt:
    """Return the simplest prompt there is."""
    turns = (Turn("user", text),)
    return Prompt(system="You are kind.", turns=turns, partial=partial, max_tokens=max_tokens)


async def ask(model: Model, prompt: Prompt | str) -> Answer:
    """Collect the whole answer; a provider's failure is a part of it."""
    answer = Answer()
    prompt = question(prompt) if isinstance(prompt, str) else prompt
    try:
        async with aclosing(model.stream(prompt)) as events:
            async for event in events:
                answer.events.append(event)
    except ProviderError as error:
        answer.error = error
    return answer
