"""The global fit against matrices that the simulators' finite volumes made: neither shares the other's numerics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from labctl.analysis.global_entries import campaign_entry
from labctl.analysis.global_fit import fit_campaign
from labctl.analysis.structure import Structure
from labctl_sim_sample._layered import LayeredExchange, populations
from labctl_sim_sample._model import Activated, Layer, Layered
from tests.analysis.layered_campaign import Layers, Plan, measure

FloatArray = NDArray[np.float64]

COATED = Layers()
RADII = (1.0, 1.11767, 1.50194)


def _truth() -> Layered:
    layers = tuple(
        Layer(
            phase=name,
            outer=outer,
            density_per_nm3=density,
            kD_per_s=Activated(value=kD, Ea_eV=Ea, reference_K=293.15),
            flux_per_s=None,
        )
        for name, outer, density, kD, Ea in zip(
            COATED.sites, RADII, COATED.density, COATED.kD_per_s, COATED.Ea_eV, strict=True
        )
    )
    return Layered(geometry="sphere", layers=layers, spin_diffusion_per_s=0.0)


def test_energies_of_a_coated_electrode_come_back_from_finite_volumes() -> None:
    """Noise-free matrices of 5 temperatures and 7 mixing times give Ea 0.142, 0.107, 0.117 eV by the Laplace model."""
    volumes = LayeredExchange(_truth(), lambda _: np.zeros(3))
    coated = replace(COATED, p=tuple(populations(_truth()).values()))

    def matrices(T_K: float, times_s: FloatArray) -> FloatArray:
        still = np.array([volumes.transfer(T_K, np.ones_like, float(t)).amplitudes for t in times_s])
        return np.asarray(still * np.exp(-COATED.R1(T_K) * times_s)[:, None, None])

    density = dict(zip(COATED.sites, COATED.density, strict=True))
    fitted = fit_campaign(
        measure(coated, Plan(noise=1e-5), None, matrices=matrices),
        Structure(layers=COATED.sites, density_per_nm3=density, geometry="sphere"),
    )
    assert fitted is not None
    entry = campaign_entry(fitted)
    assert [one.Ea_eV for one in entry.phases] == pytest.approx([0.142, 0.107, 0.117], abs=5e-4)
    assert entry.campaign is not None
    assert [one.kD_per_s for one in entry.phases] == pytest.approx(COATED.kD(entry.campaign.T_ref_K).tolist(), rel=2e-3)
