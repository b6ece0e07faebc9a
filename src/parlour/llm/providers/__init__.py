"""One module for each wire format; providers are strangers to each other."""
