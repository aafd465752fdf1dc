"""Bruker TopSpin driver."""
