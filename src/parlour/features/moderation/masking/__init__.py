"""Personal data that stays on the server: how it is found, what stands in its place, how it comes back."""
