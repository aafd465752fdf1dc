"""Readers of vendor files; nothing here is used to write a simulator's files."""
