"""The web, inwards and outwards: event streams, and the one client for calls to others."""
