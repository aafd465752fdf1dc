"""Impedance spectra: circuits, fits with a known error model, Kramers-Kronig, conductivity and its activation."""
