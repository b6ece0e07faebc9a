"""What a model is shown: the newest part of a conversation that fits, and what was looked up for it."""
