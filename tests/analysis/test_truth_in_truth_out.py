"""Statistics of the whole way from time-domain data to Ea: unbiased, honest errors, near the Cramer-Rao bound.

The signals are synthesised here, by the two-dimensional States-TPPI formula and a matrix exponential; nothing is
shared with the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm

from labctl.analysis.arrhenius import fit_arrhenius
from labctl.analysis.kinetics import fit_exchange
from labctl.analysis.measured_entries import buildup
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.lines import refine_lines
from labctl.formats.bruker_dataset import BrukerDataset, IndirectAxis

FloatArray = NDArray[np.float64]

KB_EV_PER_K = 8.617333262e-5
LARMOR_MHZ = 73.578
SITES_PPM = {"A": 1.0, "B": -1.0}
FWHM_HZ = np.array([18.0, 25.0])
T_K = (293.15, 333.15, 373.15)
TMIX_S = (0.05, 0.3, 1.0)
T1_S, D1_S = 9.0, 14.0
ROWS, POINTS, WIDTH_HZ, INCREMENT_S = 48, 192, 2500.0, 0.8e-3
NOISE = 0.02


@dataclass(frozen=True)
class Truth:
    """Two sites: p_A, k_AB(T), one T1."""

    p_A: float
    k_ref: float
    Ea_eV: float

    def k(self, T: float) -> float:
        """Return k_AB [1/s] at a temperature."""
        return float(self.k_ref * np.exp(-self.Ea_eV / KB_EV_PER_K * (1 / T - 1 / 333.15)))

    def amplitudes(self, T: float, tmix_s: float, R1: float = 1 / T1_S) -> FloatArray:
        """Return A, shape (2, 2), row source, with the recycle delay's saturation."""
        p, k = np.array([self.p_A, 1 - self.p_A]), self.k(T)
        back = k * p[0] / p[1]
        L = np.array([[-k - R1, back], [k, -back - R1]])
        start = p - expm(L * D1_S) @ p
        return np.asarray((expm(L * tmix_s) @ np.diag(start)).T)


def _bases() -> tuple[FloatArray, NDArray[np.complex128]]:
    """E1, shape (rows, 2), cosine and sine in turn; E2, shape (points, 2)."""
    omega = 2 * np.pi * np.array(list(SITES_PPM.values())) * LARMOR_MHZ
    t1 = (np.arange(ROWS // 2) + 0.5) * INCREMENT_S
    t2 = np.arange(POINTS) / WIDTH_HZ
    E1 = np.empty((ROWS, 2))
    envelope = np.exp(-np.pi * FWHM_HZ * t1[:, None])
    E1[0::2] = np.cos(omega * t1[:, None]) * envelope
    E1[1::2] = np.sin(omega * t1[:, None]) * envelope
    return E1, np.exp((1j * omega - np.pi * FWHM_HZ) * t2[:, None])


E1, E2 = _bases()


def _dataset(truth: Truth, T: float, tmix_s: float, rng: np.random.Generator) -> BrukerDataset:
    signal = E1 @ truth.amplitudes(T, tmix_s) @ E2.T
    signal = signal + NOISE * (rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape))
    signal *= np.repeat((-1.0) ** np.arange(ROWS // 2), 2)[:, None]  # States-TPPI alternates the sign of each pair
    return BrukerDataset(
        path=Path("synthetic"),
        dimension="2D",
        kind="exsy",
        data=1e6 * signal,
        rows_asked=ROWS,
        rows_acquired=ROWS,
        ending="complete",
        nucleus="6Li",
        larmor_MHz=LARMOR_MHZ,
        reference_MHz=LARMOR_MHZ,
        spectral_width_Hz=WIDTH_HZ,
        group_delay_points=0.0,
        scans=1,
        mixing_time_s=tmix_s,
        recycle_delay_s=D1_S,
        pulse_s=5e-6,
        indirect=IndirectAxis(
            quadrature="States-TPPI",
            increment_s=INCREMENT_S,
            start_s=INCREMENT_S / 2,
            spectral_width_Hz=1 / INCREMENT_S,
            larmor_MHz=LARMOR_MHZ,
            carrier_ppm=0.0,
            nucleus="6Li",
        ),
        delays_s=None,
        pulses_s=None,
        spinning_Hz=10e3,
        sensor_K=T,
        receiver_gain=100.0,
        pulse_program="noesyph",
        title="",
        started_s=None,
        ended_s=None,
        audit=None,
    )


def _measure(truth: Truth, seed: int) -> tuple[float, float]:
    """Return Ea and its standard error [eV] as the analysis finds them."""
    rng = np.random.default_rng(seed)
    rates, errors = [], []
    for T in T_K:
        datasets = [_dataset(truth, T, tmix_s, rng) for tmix_s in TMIX_S]
        lines = refine_lines(datasets, sites=SITES_PPM)
        matrices = [estimate_amplitudes(one, lines, T_K=T) for one in datasets]
        found = fit_exchange(buildup(T, tuple(SITES_PPM), lines, matrices, ()))
        k, k_se = found.rates()
        rates.append(float(k[0, 1]))
        errors.append(float(k_se[0, 1]))
    line = fit_arrhenius(T_K, rates, errors)
    assert line is not None
    return line.Ea_eV, line.Ea_se_eV


def _cramer_rao(truth: Truth) -> float:
    """Return the bound on Ea [eV]: lines known; rate, Ea, one population and scale, and R1 at each T unknown."""
    covariance = NOISE**2 * np.kron(np.linalg.inv(E1.T @ E1), np.linalg.inv((E2.conj().T @ E2).real))
    weight = np.linalg.inv(covariance)

    def predicted(x: FloatArray) -> FloatArray:
        one = Truth(p_A=x[2], k_ref=float(np.exp(x[0])), Ea_eV=x[1])
        return np.array(
            [np.exp(x[3]) * one.amplitudes(T, t, R1).ravel() for T, R1 in zip(T_K, x[4:], strict=True) for t in TMIX_S]
        )

    at = np.array([np.log(truth.k_ref), truth.Ea_eV, truth.p_A, 0.0, *([1 / T1_S] * len(T_K))])
    gradient = np.array([(predicted(at + step) - predicted(at - step)) / 2e-5 for step in 1e-5 * np.eye(at.size)])
    information = np.einsum("pmi,ij,qmj->pq", gradient, weight, gradient)
    return float(np.sqrt(np.linalg.inv(information)[1, 1]))


def _truths(count: int) -> list[Truth]:
    rng = np.random.default_rng(20210503)
    return [
        Truth(p_A=rng.uniform(0.35, 0.65), k_ref=0.3 * 10 ** rng.uniform(0, 1), Ea_eV=rng.uniform(0.08, 0.20))
        for _ in range(count)
    ]


def _check(count: int, lowest: float, highest: float) -> None:
    truths = _truths(count)
    found = np.array([_measure(truth, seed) for seed, truth in enumerate(truths)])
    z = (found[:, 0] - [truth.Ea_eV for truth in truths]) / found[:, 1]
    bound = np.array([_cramer_rao(truth) for truth in truths])
    assert lowest < float(np.sqrt(np.mean(z**2))) < highest
    assert float(np.median(found[:, 1] / bound)) < 1.5
    assert float(np.median(found[:, 1] / bound)) > 0.95


def test_ea_is_honest_and_sharp() -> None:
    """Over 20 random truths Ea misses by its standard error, which is within 1.5 of the Cramer-Rao bound."""
    _check(20, 0.7, 1.35)


@pytest.mark.slow
def test_ea_is_honest_over_many() -> None:
    """Over 200 random truths the errors are right to a tenth."""
    _check(200, 0.88, 1.12)
