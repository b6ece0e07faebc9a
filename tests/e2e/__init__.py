"""The product as a person meets it: a real server, a real Chromium, and between them only what breaks."""
