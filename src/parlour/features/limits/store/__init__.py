"""The only SQL about what was used. Each function is a step of somebody's unit of work."""
