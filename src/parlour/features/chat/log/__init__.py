"""The event log of runs: one implementation feeds every transport.

The owner of a run keeps its part of the log in memory and wakes its readers at once; the journal stores it a
moment later. A reader here follows the memory, a reader elsewhere the database; neither can tell which.
"""
