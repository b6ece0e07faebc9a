"""What the owner does not want to read, and the few cues that come with Parlour, found by ourselves."""
