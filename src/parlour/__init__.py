"""Parlour: a self-hosted chatbot server."""

from importlib.metadata import version

__version__ = version("parlour")
