"""The HTTP door: bodies, headers, problem documents, health, the page."""
