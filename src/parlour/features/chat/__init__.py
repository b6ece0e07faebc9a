"""The heart: sessions, messages, runs and their event log. Read turn.py first."""
