"""Questions as people ask them, and how well the built-in model answers them from the bundled guides."""
