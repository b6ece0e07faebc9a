"""A figure: what was measured, what it is held against, and how both are put into words."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Figure:
    """One line of the result.

    ``value`` is what the target is about: the median over all rounds, often a ratio; ``low`` and ``high``
    are its extremes. ``sides`` tells the absolute figures behind a ratio, by contender.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    target: float | None = None
    relation: Literal["at most", "at least"] = "at most"
    sides: dict[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Tell whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.value <= self.target if self.relation == "at most" else self.value >= self.target

    @property
    def verdict(self) -> str:
        """Return the verdict in a word."""
        return {None: "", True: "met", False: "MISSED"}[self.met]

    def cells(self) -> list[str]:
        """Return the line as text: name, value, spread, target, verdict, and the figures behind it."""
        target = (
            "" if self.target is None else f"{'≤' if self.relation == 'at most' else '≥'} {self.target:g}"
        )
        behind = ", ".join(f"{side} {_number(value)}" for side, value in self.sides.items())
        spread = f"{_number(self.low)} to {_number(self.high)}" if self.low != self.high else ""
        value = f"{_number(self.value)} {self.unit}".strip()
        return [self.name, value, spread, target, self.verdict, behind]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**asdict(self), "met": self.met}


def figure(
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    target: float | None = None,
    relation: Literal["at most", "at least"] = "at most",
    sides: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Return a figure from its values of all rounds."""
    medians = {side: statistics.median(each) for side, each in (sides or {}).items()}
    return Figure(name, unit, statistics.median(values), min(values), max(values), target, relation, medians)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return what was measured in the same round, one over the other."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of all keep within."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
