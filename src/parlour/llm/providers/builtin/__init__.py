"""The built-in model: answers from passages alone, with no key, no network and no words of its own."""

from parlour.llm.providers.builtin.model import BuiltinModel

__all__ = ["BuiltinModel"]
