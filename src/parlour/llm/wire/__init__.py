"""The providers' wire formats as pure converters: bytes in, words of ours out. No connections."""
