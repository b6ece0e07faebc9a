"""Which assistants there are, and who of an assistant answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parlour.llm.model import Model
from parlour.vocabulary.errors import FieldError, InvalidInput, ModelMissing, NotFound

AUTOMATIC = "auto"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question that the first page offers."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Assistant:
    """A configured bot. ``system_prompt`` tells a model its role; people never see it."""

    id: str
    name: str
    description: str
    greeting: str
    system_prompt: str
    suggestions: tuple[Suggestion, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers: a name, what the model is told, and the model."""

    name: str
    system_prompt: str
    model: Model


class Assistants:
    """The assistants of this server and the models that they may use."""

    def __init__(
        self, assistants: Sequence[Assistant], models: Mapping[str, Model], *, default_model: str
    ) -> None:
        """Offer ``assistants``, the first by default, with ``models`` by name."""
        self._assistants = {assistant.id: assistant for assistant in assistants}
        self._models = models
        self._default_model = default_model
        self.default = assistants[0]

    def all(self) -> list[Assistant]:
        """Return every assistant, the default one first."""
        return list(self._assistants.values())

    def find(self, assistant_id: str | None) -> Assistant:
        """Return an assistant, the default one for None. Raises NotFound."""
        if assistant_id is None:
            return self.default
        assistant = self._assistants.get(assistant_id)
        if assistant is None:
            raise NotFound("There is no assistant with this id.")
        return assistant

    def offers(self, model: str | None) -> bool:
        """Tell whether ``model`` can be asked for."""
        return model in (None, AUTOMATIC) or model in self._models

    def check_model(self, model: str | None) -> None:
        """Raise InvalidInput unless ``model`` can be asked for."""
        if not self.offers(model):
            known = ", ".join((AUTOMATIC, *self._models))
            raise InvalidInput(FieldError("model", f"There is no such model here. Choose one of: {known}."))

    def choose(self, assistant_id: str, model: str | None) -> Agent:
        """Return who answers. An assistant or model that has gone since falls back to the default.

        Raises ModelMissing when the default model is not set up.
        """
        assistant = self._assistants.get(assistant_id, self.default)
        name = model if model is not None and model in self._models else self._default_model
        chosen = self._models.get(name)
        if chosen is None:
            raise ModelMissing(cause=f"The provider {name} is chosen but not set up.")
        return Agent(assistant.name, assistant.system_prompt, chosen)
