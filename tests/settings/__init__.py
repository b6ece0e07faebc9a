"""Settings: what is read from where, and how mistakes are told."""
