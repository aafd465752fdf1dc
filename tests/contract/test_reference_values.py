"""Tabulated values of the models, to one unit of the last printed digit, and by both numerical methods."""

from __future__ import annotations

import numpy as np
import pytest

from labctl.analysis.diffusion import mixing_matrix
from labctl.analysis.exchange import mixing_matrix as exchange_matrix
from labctl_sim_sample._layered import LayeredExchange, populations
from labctl_sim_sample._model import Activated, Layer, Layered

TMIX_S = np.array([0.01, 0.1, 0.5, 1, 2, 5, 10, 20])
TABLE = {
    (293.15, 0, 2): [0.0000, 0.0001, 0.0077, 0.0202, 0.0409, 0.0810, 0.1183, 0.1564],
    (293.15, 0, 1): [0.0037, 0.0117, 0.0191, 0.0193, 0.0189, 0.0202, 0.0233, 0.0276],
    (293.15, 1, 2): [0.0075, 0.0234, 0.0416, 0.0466, 0.0491, 0.0486, 0.0460, 0.0422],
    (373.15, 0, 2): [0.0000, 0.0020, 0.0275, 0.0527, 0.0869, 0.1400, 0.1774, 0.2030],
    (373.15, 0, 1): [0.0062, 0.0179, 0.0205, 0.0204, 0.0218, 0.0263, 0.0305, 0.0338],
    (373.15, 1, 2): [0.0119, 0.0341, 0.0467, 0.0481, 0.0473, 0.0434, 0.0396, 0.0367],
}
DENSITY, OUTER, KD, EA_EV = (43.5, 18.3, 22.1), (1.0, 1.11767, 1.50194), (0.003, 0.010, 1.0), (0.142, 0.107, 0.117)


def _coated() -> Layered:
    """Li2S core, LiI coating, electrolyte: the truth of the table."""
    layers = tuple(
        Layer(
            phase=name,
            outer=outer,
            density_per_nm3=c,
            kD_per_s=Activated(value=kD, Ea_eV=Ea, reference_K=293.15),
            flux_per_s=None,
        )
        for name, outer, c, kD, Ea in zip(("Li2S", "LiI", "LPSC"), OUTER, DENSITY, KD, EA_EV, strict=True)
    )
    return Layered(geometry="sphere", layers=layers, spin_diffusion_per_s=0.0)


@pytest.mark.parametrize("T_K", [293.15, 373.15])
def test_table_of_a_coated_electrode_by_both_methods(T_K: float) -> None:
    """Laplace and finite volumes both print the table of A, and agree to 1e-6 at every mixing time of it."""
    truth = _coated()
    p = np.array(list(populations(truth).values()))
    kD = np.array([layer.kD_per_s.at(T_K) for layer in truth.layers])
    laplace = mixing_matrix(TMIX_S, p, kD, densities=np.array(DENSITY))
    volumes = LayeredExchange(truth, lambda _: np.zeros(3))
    cells = np.array([volumes.transfer(T_K, np.ones_like, float(t)).amplitudes for t in TMIX_S])
    assert cells == pytest.approx(laplace, abs=1e-6)
    for A in (laplace, cells):
        for (at_K, i, j), column in TABLE.items():
            if at_K == T_K:
                assert A[:, i, j] == pytest.approx(np.array(column), abs=1e-4)


def test_saturated_exchange_of_unlike_T1() -> None:
    """Unlike T1 and a short recycle delay make cross peaks 0.0319 and 0.0153; recovered ones are both 0.0353."""
    p, flux, R1 = np.array([0.6, 0.4]), np.array([0.6 * 0.02]), np.array([1 / 5, 1 / 50])
    G, lost = (exchange_matrix(np.array([t]), p, flux, R1)[0] for t in (10.0, 15.0))
    A = (1 - lost.sum(axis=1) / p)[:, None] * G
    assert A[0, 1] == pytest.approx(0.0319, abs=1e-4)
    assert A[1, 0] == pytest.approx(0.0153, abs=1e-4)
    assert A[0, 1] / A[1, 0] == pytest.approx(2.09, abs=0.01)
    assert G[[0, 1], [1, 0]] == pytest.approx([0.0353, 0.0353], abs=1e-4)
