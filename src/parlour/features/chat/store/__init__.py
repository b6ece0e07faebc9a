"""The only SQL of the room. Each function is a unit of work, or a step of one."""
