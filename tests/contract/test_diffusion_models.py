"""The analysis solves layered diffusion in the Laplace domain, the simulators by finite volumes: they must agree."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from labctl.analysis.diffusion import Geometry, mixing_matrix
from labctl_sim_sample._layered import LayeredExchange, populations
from labctl_sim_sample._model import Activated, Layer, Layered

FloatArray = NDArray[np.float64]


def _fixed(value: float) -> Activated:
    return Activated(value=value, Ea_eV=0.0, reference_K=300.0)


def _full(rates_per_s: FloatArray) -> FloatArray:
    return np.ones_like(rates_per_s)


@pytest.mark.parametrize("geometry", ["sphere", "slab"])
@pytest.mark.parametrize("contact", [None, 0.4])
def test_laplace_and_finite_volumes_agree(geometry: Geometry, contact: float | None) -> None:
    """Three layers with unequal D, density, T1 and any contact give one matrix by both methods, to 1e-6."""
    outer, density, kD = (1.0, 1.3, 1.9), (43.5, 18.3, 22.1), (0.05, 0.2, 3.0)
    R1 = np.array([0.05, 0.2, 0.1])
    truth = Layered(
        geometry=geometry,
        layers=tuple(
            Layer(
                phase=name,
                outer=outer[i],
                density_per_nm3=density[i],
                kD_per_s=_fixed(kD[i]),
                flux_per_s=_fixed(contact) if contact is not None and i < 2 else None,
            )
            for i, name in enumerate("abc")
        ),
        spin_diffusion_per_s=0.0,
    )
    volumes = LayeredExchange(truth, lambda _: R1)
    p = np.array(list(populations(truth).values()))
    times_s = np.array([0.02, 0.3, 2.0, 15.0])
    laplace = mixing_matrix(
        times_s,
        p,
        np.array(kD),
        R1_per_s=R1,
        contact_per_s=np.inf if contact is None else contact,
        densities=np.array(density),
        geometry=geometry,
    )
    for t, expected in zip(times_s, laplace, strict=True):
        assert volumes.transfer(300.0, _full, float(t)).amplitudes == pytest.approx(expected, abs=1e-6)
