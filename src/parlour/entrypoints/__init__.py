"""How words come in and go out: no rules, no SQL."""
