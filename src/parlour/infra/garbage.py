"""The garbage collector, told what a server is: much that stays, the rest gone by the next request."""

import gc

YOUNG = 10_000  # objects made before the youngest are looked through; each answer leaves a few hundred


def spare_what_stays() -> None:
    """Look no more through what is there now: modules, routes, compiled statements, indexed documents.

    Call it once everything is loaded. A fifth of the CPU that storing turns takes went into looking through
    them again and again. What comes later is collected as ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
