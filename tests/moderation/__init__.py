"""What is found, what is done about it, and what comes back."""
