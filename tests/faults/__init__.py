"""What Parlour must survive: kills, pauses, providers and databases that fail, clients that misbehave."""
