"""The HTTP server: middleware, problem documents, the page, and what operators ask."""
