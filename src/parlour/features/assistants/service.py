"""Which assistants there are, and who of an assistant answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from parlour.features.assistants.models import Models
from parlour.features.assistants.values import Assistant
from parlour.llm.model import Model
from parlour.vocabulary.errors import FieldError, InvalidInput, NotFound
from parlour.vocabulary.principal import Principal


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers: a name, what the model is told, and the voice that speaks, of one model or several."""

    name: str
    system_prompt: str
    model: Model


class Assistants:
    """The assistants of this server, and the models that they may use."""

    def __init__(self, assistants: Sequence[Assistant], models: Models) -> None:
        """Offer ``assistants``, the first by default."""
        self._assistants = {assistant.id: assistant for assistant in assistants}
        self.models = models
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

    def in_charge(self, assistant_id: str) -> Assistant:
        """Return who answers for an assistant; for one that has gone since, the default one."""
        return self._assistants.get(assistant_id, self.default)

    def offers(self, model: str | None) -> bool:
        """Tell whether ``model`` can be asked for."""
        return self.models.offers(model)

    def check_model(self, principal: Principal, model: str | None) -> None:
        """Raise InvalidInput unless ``model`` can be asked for, Forbidden if this person's plan lacks it."""
        if not self.models.offers(model):
            known = ", ".join(self.models.names())
            raise InvalidInput(FieldError("model", f"There is no such model here. Choose one of: {known}."))
        self.models.check_plan(principal, model)
