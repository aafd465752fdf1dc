"""Fakes of the ports, for tests and for authors of drivers."""
