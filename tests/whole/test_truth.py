"""Truth in, truth out, through everything: sample file, simulated console, AU programs, engine, files, analysis.

The truth stands in sample files written here at random; the analysis never sees them.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from tests.whole.campaigns import run_without_report

FloatArray = NDArray[np.float64]

KB_EV_PER_K = 8.617333262e-5
LARMOR_MHZ = 73.578
T_K = (293.15, 343.15)
T_REF_K = 293.15
TMIX_S = (0.05, 0.5)
T1_S, RECYCLE_S = 3.0, 9.0
SITES_PPM = {"A": 2.0, "B": -2.0}
WIDTH_HZ = {"A": 20.0, "B": 15.0}
ROWS, INCREMENT_S, SCANS, POINTS, SPECTRAL_WIDTH_HZ = 24, 0.8e-3, 8, 512, 5000.0
NOISE_PER_SCAN = 0.08

SAMPLE = """\
version: 1
name: random two sites
nmr:
  nucleus: 6Li
  reference_temperature: {T_REF_K} K
  sites:
    A: {{shift: {A} ppm, width: {wA} Hz}}
    B: {{shift: {B} ppm, width: {wB} Hz}}
  relaxation:
    A: {{T1: {T1_S} s}}
    B: {{T1: {T1_S} s}}
  exchange:
    discrete:
      populations: {{A: {p_A!r}, B: {p_B!r}}}
      rates:
        - {{from: A, to: B, rate: {k_per_s!r} 1/s, Ea: {Ea_eV!r} eV}}
  probe: {{p90: 4.9 us}}
  noise_per_scan: {noise}
  drift: {{field: 0 Hz/h}}
"""

PROTOCOL = f"""\
version: 1
campaign: truth
sample: {{name: random, nucleus: 6Li, sites: {{A: 2.0 ppm, B: -2.0 ppm}}}}
procedures:
  - vt_exsy:
      station: nmr500
      temperatures: [{", ".join(f"{T} K" for T in T_K)}]
      ramp: 5 K/min
      settle: {{within: 0.5 K, for: 2 min, give_up: 60 min, shift: none}}
      spinning: 10 kHz
      tune: none
      p90: {{each_temperature: false}}
      reference_1d: {{around_each_2d: false}}
      recycle_delay: {RECYCLE_S} s
      mixing_times: [{", ".join(f"{t} s" for t in TMIX_S)}]
      increments: {ROWS}
      increment: {1e3 * INCREMENT_S} ms
      scans: {SCANS}
      points: {POINTS}
      spectral_width: {SPECTRAL_WIDTH_HZ} Hz
      return_to_first_temperature: false
"""


@dataclass(frozen=True)
class Truth:
    """What one sample file says: Li fraction of A, k(A to B) at the reference, its activation energy."""

    p_A: float
    k_per_s: float
    Ea_eV: float

    def sample(self) -> str:
        """Return the sample file."""
        return SAMPLE.format(
            T_REF_K=T_REF_K,
            A=SITES_PPM["A"],
            B=SITES_PPM["B"],
            wA=WIDTH_HZ["A"],
            wB=WIDTH_HZ["B"],
            T1_S=T1_S,
            p_A=self.p_A,
            p_B=1.0 - self.p_A,
            k_per_s=self.k_per_s,
            Ea_eV=self.Ea_eV,
            noise=NOISE_PER_SCAN,
        )

    def amplitudes(self, T: float, tmix_s: float, R1_per_s: float) -> FloatArray:
        """Return A, shape (2, 2), row source, for complete recovery but one recycle delay."""
        k = self.k_per_s * np.exp(-self.Ea_eV / KB_EV_PER_K * (1 / T - 1 / T_REF_K))
        p = np.array([self.p_A, 1.0 - self.p_A])
        back = k * p[0] / p[1]
        L = np.array([[-k - R1_per_s, back], [k, -back - R1_per_s]])
        start = p - expm(L * RECYCLE_S) @ p
        return np.asarray((expm(L * tmix_s) @ np.diag(start)).T) * T_REF_K / T


def truths(count: int) -> list[Truth]:
    """Return random truths: rates within a factor of ten, Ea between 0.08 and 0.20 eV."""
    rng = np.random.default_rng(20211001)
    return [
        Truth(
            p_A=float(rng.uniform(0.35, 0.65)),
            k_per_s=float(0.3 * 10 ** rng.uniform(0, 1)),
            Ea_eV=float(rng.uniform(0.08, 0.20)),
        )
        for _ in range(count)
    ]


def cramer_rao_eV(truth: Truth) -> float:
    """Return the bound on Ea: lines known; rate, Ea, population, and scale and R1 of each temperature unknown."""
    omega = 2 * np.pi * LARMOR_MHZ * np.array(list(SITES_PPM.values()))
    decay = np.pi * np.array(list(WIDTH_HZ.values()))
    t1 = np.arange(ROWS // 2)[:, None] * INCREMENT_S
    t2 = np.arange(POINTS // 2)[:, None] / SPECTRAL_WIDTH_HZ
    E1 = np.empty((ROWS, 2))
    E1[0::2], E1[1::2] = np.cos(omega * t1) * np.exp(-decay * t1), np.sin(omega * t1) * np.exp(-decay * t1)
    E2 = np.exp((1j * omega - decay) * t2)
    noise = NOISE_PER_SCAN / np.sqrt(SCANS)
    weight = np.linalg.inv(noise**2 * np.kron(np.linalg.inv(E1.T @ E1), np.linalg.inv((E2.conj().T @ E2).real)))

    def predicted(x: FloatArray) -> FloatArray:
        one = Truth(p_A=x[2], k_per_s=float(np.exp(x[0])), Ea_eV=x[1])
        return np.array(
            [
                np.exp(scale) * one.amplitudes(T, tmix_s, R1).ravel()
                for T, scale, R1 in zip(T_K, x[3:5], x[5:7], strict=True)
                for tmix_s in TMIX_S
            ]
        )

    at = np.array([np.log(truth.k_per_s), truth.Ea_eV, truth.p_A, 0.0, 0.0, *([1 / T1_S] * 2)])
    gradient = np.array([(predicted(at + step) - predicted(at - step)) / 2e-5 for step in 1e-5 * np.eye(at.size)])
    information = np.einsum("pmi,ij,qmj->pq", gradient, weight, gradient)
    return float(np.sqrt(np.linalg.inv(information)[1, 1]))


def test_campaigns_recover_their_truths(tmp_path: Path) -> None:
    """Over 20 random samples Ea misses by its own standard error, which is near the Cramer-Rao bound."""
    protocol = tmp_path / "truth.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    arguments = ["run", str(protocol), "--simulate"]
    commands = []
    for seed, truth in enumerate(truths(20)):
        sample = tmp_path / f"sample{seed}.yaml"
        sample.write_text(truth.sample(), encoding="utf-8")
        commands.append([*arguments, str(sample), "--dir", str(tmp_path / f"run{seed}"), "--seed", str(seed)])
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(run_without_report, commands)) == [0] * len(commands)
    z, sharpness = [], []
    for seed, truth in enumerate(truths(20)):
        document = json.loads((tmp_path / f"run{seed}" / "results.json").read_text(encoding="utf-8"))
        (entry,) = [one for one in document["exsy"]["arrhenius"] if one["quantity"].startswith("k A")]
        z.append((entry["Ea_eV"] - truth.Ea_eV) / entry["Ea_se_eV"])
        sharpness.append(entry["Ea_se_eV"] / cramer_rao_eV(truth))
    assert 0.7 < float(np.sqrt(np.mean(np.square(z)))) < 1.35
    assert 0.9 < float(np.median(sharpness)) < 1.5
