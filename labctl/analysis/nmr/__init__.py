"""Estimators on one temperature's NMR datasets: lines, amplitude matrices, T1, pulse lengths, line positions.

The doors are the submodules: ``lines`` (what is there), ``estimator`` (how much exchanged), ``relaxation``,
``nutation``, ``line_shift`` and ``spectrum`` (for the eye only; no number comes from it).
"""
