"""Letting people know: what is worth a message and when, and the way it goes out."""
