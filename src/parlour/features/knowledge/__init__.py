"""What an assistant may look things up in: reading folders, splitting documents, searching passages."""
