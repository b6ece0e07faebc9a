"""Counters by key, in this process or shared between servers."""
