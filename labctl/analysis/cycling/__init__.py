"""Cycling: half-cycles, capacities, efficiencies and voltages of a cell, from any cycler's proven export."""
