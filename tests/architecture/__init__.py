"""Tests of the house itself: sizes, imports, documents. They read the sources; nothing of Parlour runs."""
