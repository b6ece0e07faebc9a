"""What happens while an answer is made, told to its readers and noted for its end."""

from parlour.features.chat.log.live import LiveRun
from parlour.features.chat.schemas import citation_json, meta_event, outcome_row
from parlour.features.chat.values import Outcome, Run, milliseconds_since
from parlour.infra.observability.metrics import Metrics
from parlour.llm.model import Chosen
from parlour.vocabulary.citation import Citation
from parlour.vocabulary.events import EventKind


class Telling:
    """One answer: its part of the log, and what will be stored of it."""

    def __init__(self, run: Run, live: LiveRun, outcome: Outcome, metrics: Metrics) -> None:
        """Tell into ``live``, and note in ``outcome``."""
        self._run = run
        self._live = live
        self._metrics = metrics
        self.outcome = outcome

    @property
    def text(self) -> str:
        """What the reply has said."""
        return self._live.text

    def stage(self, name: str) -> None:
        """Tell what is going on before the first word."""
        self._live.append(EventKind.STATUS, {"stage": name})

    def chosen(self, chosen: Chosen) -> None:
        """Tell who speaks from here on, unless readers know."""
        outcome = self.outcome
        if (outcome.provider, outcome.model) == (chosen.provider, chosen.model):
            return
        outcome.provider, outcome.model, outcome.why = chosen.provider, chosen.model, chosen.why
        self._live.append(*meta_event(outcome_row(outcome)))

    def say(self, text: str) -> None:
        """Add to the reply."""
        if self.outcome.ttft_ms is None:
            self.outcome.ttft_ms = milliseconds_since(self._run.created_at)
            self._metrics.first_token(self.outcome.provider or "none", self.outcome.ttft_ms / 1000)
        self._live.append_text(text)

    def cite(self, citation: Citation) -> None:
        """Tell a source that what follows points to."""
        self.outcome.citations.append(citation)
        self._live.append(EventKind.CITATION, citation_json(citation))

    def retract(self, length: int, reason: str) -> None:
        """Take back all but the first ``length`` code points."""
        self._live.retract(length, reason)
