"""From settings to the models that turn texts into vectors."""

from collections.abc import Callable
from typing import Protocol

from parlour.infra.web.outbound import Session
from parlour.llm.embeddings import Embedder, gemini_embedder, ollama_embedder, openai_embedder
from parlour.llm.timeouts import Timeouts
from parlour.settings import Settings
from parlour.settings.naming import embedding_models
from parlour.settings.providers import ProviderSettings


class _Make(Protocol):
    """Makes an embedder of one kind."""

    def __call__(
        self,
        *,
        session: Session,
        model: str,
        base_url: str,
        api_key: str,
        timeouts: Timeouts,
        provider: str,
    ) -> Embedder:
        """Return it."""
        ...


_KINDS: dict[str, _Make] = {
    "openai": openai_embedder,
    "gemini": gemini_embedder,
    "compatible": openai_embedder,
    "ollama": ollama_embedder,
}


def build_embedders(
    settings: Settings, session: Session, timeouts: Timeouts, *, named: Callable[[str], str], ollama: str
) -> list[Embedder]:
    """Return the embedding models whose provider is set up, the first choice first.

    ``named`` returns the name that a section's models carry; ``ollama`` is where one is looked for.
    """
    found = []
    for section, model in embedding_models(settings):
        given: ProviderSettings = getattr(settings, section)
        found.append(
            _KINDS[section](
                session=session,
                model=model,
                base_url=given.base_url or ollama,
                api_key=given.api_key.get_secret_value() if given.api_key else "",
                timeouts=timeouts,
                provider=named(section),
            )
        )
    return found
