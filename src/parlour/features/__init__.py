"""What the product does, one room for each feature; docs/architecture tells which may call which."""
