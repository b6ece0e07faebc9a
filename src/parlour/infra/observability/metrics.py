"""The server's figures, for Prometheus. One object, made in ``wiring`` and handed to those who count.

Labels have few values each, never an id, an address or a word that somebody typed.
"""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from parlour.vocabulary.attempt import Attempt
from parlour.vocabulary.messages import MessageRole, Status
from parlour.vocabulary.usage import Usage

# Seconds. Fine below 50 ms, where our own work lies; coarse above, where models take their time.
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


class Metrics:
    """Counters and histograms by the names of what they count."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register every metric at ``registry``, a new one by default, with the process's own figures."""
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = Counter(
            "parlour_http_requests",
            "Requests by method, route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._response = Histogram(
            "parlour_http_response_seconds",
            "Seconds until a response began, by route.",
            ("route",),
            buckets=_FAST,
            registry=self.registry,
        )
        self._streams = Gauge(
            "parlour_open_streams", "Event streams that readers hold open.", registry=self.registry
        )
        self._resumes = Counter(
            "parlour_stream_resumes", "Streams taken up again by a reader.", registry=self.registry
        )
        self._declare_answers()
        self._declare_moderation()
        self._declare_own()

    def _declare_answers(self) -> None:
        self._messages = Counter(
            "parlour_messages", "Messages stored, by role.", ("role",), registry=self.registry
        )
        self._runs = Counter(
            "parlour_runs", "Runs by their final state.", ("status",), registry=self.registry
        )
        self._takeovers = Counter(
            "parlour_run_takeovers",
            "Runs taken up after their owner's lease ran out.",
            registry=self.registry,
        )
        self._stage = Histogram(
            "parlour_run_stage_seconds",
            "Seconds that a run spent in each stage.",
            ("stage",),
            buckets=_SLOW,
            registry=self.registry,
        )
        self._first_token = Histogram(
            "parlour_first_token_seconds",
            "Seconds from accepting a message to the first word of its answer, by provider.",
            ("provider",),
            buckets=_SLOW,
            registry=self.registry,
        )
        self._tokens = Counter(
            "parlour_tokens",
            "Tokens of all calls, by provider and kind.",
            ("provider", "kind"),
            registry=self.registry,
        )
        self._attempts = Counter(
            "parlour_model_calls",
            "Calls to models by provider, model and how they ended; cached: spared by a kept answer.",
            ("provider", "model", "status"),
            registry=self.registry,
        )
        self._cost = Counter(
            "parlour_cost_usd",
            "US dollars spent on models, as far as prices are known.",
            ("provider", "model"),
            registry=self.registry,
        )
        self._budgets = Counter(
            "parlour_budget_refusals",
            "Messages refused because a budget was used up, by whose.",
            ("scope",),
            registry=self.registry,
        )
        self._errors = Counter(
            "parlour_errors", "Errors shown to readers, by code.", ("code",), registry=self.registry
        )

    def _declare_moderation(self) -> None:
        self._findings = Counter(
            "parlour_moderation_findings",
            "What moderation found in messages, passages and answers, by stage and what was done about it.",
            ("stage", "action"),
            registry=self.registry,
        )
        self._unjudged = Counter(
            "parlour_moderation_unreachable",
            "Calls to the moderation API that brought no judgement.",
            registry=self.registry,
        )

    def _declare_own(self) -> None:
        self._flush = Histogram(
            "parlour_journal_flush_seconds",
            "Seconds that a group commit of run events took.",
            buckets=_FAST,
            registry=self.registry,
        )
        self._lag = Histogram(
            "parlour_event_loop_lag_seconds",
            "How late the event loop came back to a timer.",
            buckets=_FAST,
            registry=self.registry,
        )
        self._dropped = Counter(
            "parlour_log_lines_dropped", "Log lines dropped because nobody took them.", registry=self.registry
        )

    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request whose response began after ``seconds``. ``route`` is a template, not a path."""
        self._requests.labels(method, route, str(status)).inc()
        self._response.labels(route).observe(seconds)

    def stream_opened(self, *, resumed: bool) -> None:
        """Count a reader who came, and whether to go on from an earlier event."""
        self._streams.inc()
        if resumed:
            self._resumes.inc()

    def stream_closed(self) -> None:
        """Count a reader who left."""
        self._streams.dec()

    def message(self, role: MessageRole) -> None:
        """Count a stored message."""
        self._messages.labels(role.value).inc()

    def run_ended(self, status: Status) -> None:
        """Count a run that reached its final state."""
        self._runs.labels(status.value).inc()

    def run_taken_over(self) -> None:
        """Count a run whose former owner is gone."""
        self._takeovers.inc()

    def stage(self, stage: str, seconds: float) -> None:
        """Record how long a run was in ``stage``, one of the words of the ``status`` event or ``total``."""
        self._stage.labels(stage).observe(seconds)

    def first_token(self, provider: str, seconds: float) -> None:
        """Record the time to the first word of an answer."""
        self._first_token.labels(provider).observe(seconds)

    def attempt(self, attempt: Attempt) -> None:
        """A call to a model has ended, or was not made."""
        status = "cached" if attempt.cached else attempt.status.value
        self._attempts.labels(attempt.provider, attempt.model, status).inc()
        if attempt.cost_usd:
            self._cost.labels(attempt.provider, attempt.model).inc(float(attempt.cost_usd))
        if attempt.usage is not None and not attempt.cached:
            self._count_tokens(attempt.provider, attempt.usage)

    def _count_tokens(self, provider: str, usage: Usage) -> None:
        for kind, tokens in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cached", usage.cached_tokens),
        ):
            self._tokens.labels(provider, kind).inc(max(0, tokens))

    def budget_used_up(self, scope: str) -> None:
        """A budget had no room for a message; ``scope`` says whose, such as ``person``."""
        self._budgets.labels(scope).inc()

    def moderation_found(self, stage: str, action: str) -> None:
        """Moderation objected to something, at a stage, and something was done about it."""
        self._findings.labels(stage, action).inc()

    def moderation_unreachable(self) -> None:
        """The moderation API was asked and did not judge."""
        self._unjudged.inc()

    def watch_breakers(self, states: Callable[[], Iterable[tuple[str, str, str]]]) -> None:
        """Show the state of every model's breaker, as ``(provider, model, state)`` at the time of asking."""
        self.registry.register(_BreakerGauge(states))

    def error(self, code: str) -> None:
        """Count an error that a reader was shown, by its stable code."""
        self._errors.labels(code).inc()

    def journal_flushed(self, seconds: float) -> None:
        """Record a group commit."""
        self._flush.observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """Record how late the event loop was."""
        self._lag.observe(seconds)

    def log_line_dropped(self) -> None:
        """Count a log line that was lost."""
        self._dropped.inc()

    def render(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self.registry)


class _BreakerGauge(Collector):
    """One line for each model: 1 at the state that its breaker is in."""

    def __init__(self, states: Callable[[], Iterable[tuple[str, str, str]]]) -> None:
        self._states = states

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "parlour_breaker",
            "The state of each model's circuit breaker: 1 at closed, open, half_open or cooling.",
            labels=("provider", "model", "state"),
        )
        for labels in self._states():
            family.add_metric(labels, 1)
        yield family
