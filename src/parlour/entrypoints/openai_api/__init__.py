"""OpenAI's wire shapes over our turn: an unmodified OpenAI SDK works against Parlour (T-5)."""
