"""The providers' wire formats as pure converters, bytes in and words of ours out, and the one HTTP call
(:mod:`parlour.llm.wire.call`) that carries them all.
"""
