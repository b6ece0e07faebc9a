"""OpenAI's API over our turn (T-5)."""
