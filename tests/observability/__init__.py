"""Logs, metrics and the watch over the event loop."""
