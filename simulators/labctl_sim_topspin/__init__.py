"""Simulated Bruker spectrometer."""
