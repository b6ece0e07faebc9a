"""Lists of English words and their stems: what is true of the language, nothing about any document."""
