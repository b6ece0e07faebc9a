"""What runs in processes of its own, so that nobody's work gets into another's figures."""
