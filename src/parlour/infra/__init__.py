"""Connections to the outside: storage, the web, observability. No product rules."""
