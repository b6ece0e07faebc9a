"""The command line, run as an operator runs it: as a process of its own."""
