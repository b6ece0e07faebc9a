"""What the operator sees: logs, metrics, health, and a watch over the event loop."""
