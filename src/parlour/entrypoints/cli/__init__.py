"""The command line: what operators type on the server's own machine."""
