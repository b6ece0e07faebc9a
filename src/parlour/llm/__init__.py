"""Language models behind one protocol: a library that knows no database and no web framework."""
