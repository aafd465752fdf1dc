"""From a conductance to a conductivity, the error of the pellet's dimensions kept apart.

sigma = G d / A, A = pi D^2 / 4. Thickness and diameter are measured once, so their error is common to all
temperatures: it shifts ln A0 and leaves the activation energy alone. It therefore never enters an Arrhenius weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labctl.formats.impedance import PelletGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class CellConstant:
    """d/A [1/cm] and its relative standard error (None where a dimension was stated without one)."""

    per_cm: float
    relative_se: float | None


def cell_constant(pellet: PelletGeometry) -> CellConstant:
    """Return d/A of a round pellet; relative variances (u_d/d)^2 + (2 u_D/D)^2."""
    area_cm2 = np.pi * (0.1 * pellet.diameter_mm) ** 2 / 4
    relative = None
    if pellet.thickness_se_mm is not None or pellet.diameter_se_mm is not None:
        thickness = (pellet.thickness_se_mm or 0.0) / pellet.thickness_mm
        diameter = 2 * (pellet.diameter_se_mm or 0.0) / pellet.diameter_mm
        relative = float(np.hypot(thickness, diameter))
    return CellConstant(per_cm=float(0.1 * pellet.thickness_mm / area_cm2), relative_se=relative)


def thickness_from_mass_mm(
    mass_mg: float, diameter_mm: float, density_g_per_cm3: float, relative_density: float
) -> float:
    """Return the thickness [mm] of a pressed pellet from what was weighed in: d = m / (rho rel A)."""
    area_cm2 = np.pi * (0.1 * diameter_mm) ** 2 / 4
    return float(10 * 1e-3 * mass_mg / (density_g_per_cm3 * relative_density * area_cm2))
