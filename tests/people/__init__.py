"""People: tokens, the owner's link, visitors, and who may call what."""
