"""Fakes of the ports, for tests and for authors of drivers."""

from labctl.testing.scripted import ScriptedInstrument

__all__ = ["ScriptedInstrument"]
