"""The only place that picks implementations: from settings to the living server."""

from parlour.wiring.server import Parlour

__all__ = ["Parlour"]
