"""Assistants and their agents: who answers, how they speak, and the way from a prompt to events."""
