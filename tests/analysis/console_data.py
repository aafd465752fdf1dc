"""Bruker folders as the simulated console writes them, to be analysed, drawn again with other noise, or spoilt."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.simulators.topspin.lab import Lab

TEMPERATURES_K = (298.15, 323.15, 348.15)
TMIX_S = (0.02, 0.2, 1.0)
DELAYS_S = (0.05, 0.1, 0.25, 0.6, 1.4, 3.0, 7.0, 15.0)
ROWS, SCANS, POINTS, WIDTH_HZ, INCREMENT_US, RECYCLE_S = 32, 8, 408, 2500.0, 800.0, 4.0
COUNTS = 4.0e5
"""What the simulated receiver gives for the whole magnetisation at a gain of 101."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Two sites that exchange; what the analysis is told of it are the names and shifts alone."""

    ppm: tuple[float, float] = (1.5, -1.5)
    width_Hz: tuple[float, float] = (20.0, 15.0)
    inhomogeneous: float = 0.0
    shape: str = "voigt"
    T1_s: tuple[float, float] = (3.0, 2.0)
    T1_Ea_eV: float = 0.05
    p_A: float = 0.6
    k_AB_per_s: float = 0.4
    Ea_eV: float = 0.15
    reference_K: float = 298.15

    @property
    def sites(self) -> dict[str, float]:
        """Names and shifts."""
        return {"A": self.ppm[0], "B": self.ppm[1]}

    def sample(self) -> str:
        """Return the sample file, without noise."""
        lines = "\n".join(
            f"    {name}: {{shift: {ppm} ppm, width: {width} Hz, inhomogeneous: {self.inhomogeneous}, shape: {shape}}}"
            for name, ppm, width, shape in zip("AB", self.ppm, self.width_Hz, [self.shape] * 2, strict=True)
        )
        relax = "\n".join(
            f"    {name}: {{T1: {T1} s, Ea: {self.T1_Ea_eV} eV}}" for name, T1 in zip("AB", self.T1_s, strict=True)
        )
        return f"""\
version: 1
name: two sites
nmr:
  nucleus: 6Li
  reference_temperature: {self.reference_K} K
  sites:
{lines}
  relaxation:
{relax}
  exchange:
    discrete:
      populations: {{A: {self.p_A}, B: {1 - self.p_A:.12g}}}
      rates: [{{from: A, to: B, rate: {self.k_AB_per_s} 1/s, Ea: {self.Ea_eV} eV}}]
  probe: {{p90: 4.9 us}}
  drift: {{field: 0 Hz/h}}
  noise_per_scan: 1e-12
"""


@dataclass
class ConsoleData:
    """What one campaign leaves, noise-free: EXPNO folders ``<T index><number>`` in one folder.

    Attributes
    ----------
    folder : Path
        Where the folders are; made by `acquire`.
    sample_text : str
        A sample file instead of that of `truth`.
    points : int
        Complex points of t2, the filter's 68 included.
    """

    folder: Path
    truth: Truth = field(default_factory=Truth)
    sample_text: str = ""
    points: int = POINTS
    width_Hz: float = WIDTH_HZ
    recycle_s: float = RECYCLE_S
    delays_s: tuple[float, ...] = DELAYS_S
    expnos: list[int] = field(default_factory=list)

    def acquire(
        self,
        temperatures_K: Sequence[float] = TEMPERATURES_K,
        tmix_s: Sequence[float] = TMIX_S,
        *,
        rows: int = ROWS,
        recoveries: bool = True,
    ) -> ConsoleData:
        """Let a simulated console acquire everything; returns itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for index, T_K in enumerate(temperatures_K):
            lab = Lab(
                self.folder.parent / f"console{index}",
                sample=self.sample_text or self.truth.sample(),
                layout="4.2",
                setpoint=f"{T_K} K",
                friction={"quadratic_K_per_kHz2": 0.0, "linear_K_per_kHz": 0.0},
                thermal={"wander": "0 K", "sensor_noise": "0 K"},
            )
            common = f'STOREPAR("SW_h", {self.width_Hz}) STOREPAR("TD", {2 * self.points}) STOREPAR("NS", {SCANS})'
            common += f' STOREPAR("DS", 0) STOREPAR("D 1", {self.recycle_s})'
            wanted = []
            for number, tmix in enumerate(tmix_s):
                own = f'STOREPARN(1, "TD", {rows}) STOREPARN(1, "FnMODE", 5) STOREPAR("INF 1", {INCREMENT_US})'
                wanted.append((100 * (index + 1) + number, 4, [common, own, f'STOREPAR("D 8", {tmix})']))
            if recoveries:
                delays = "\n".join(map(str, self.delays_s))
                (lab.link.lists_dir / "vd" / "delays").write_text(f"{delays}\n", encoding="utf-8")
                own = f'STOREPARN(1, "TD", {len(self.delays_s)}) STOREPAR("VDLIST", "delays")'
                wanted.append((100 * (index + 1) + 50, 3, [common, own]))
            for expno, template, statements in wanted:
                lab.run(f"{lab.dataset(expno, template, *statements)}\nZG")
                lab.wait(60.0)
                shutil.copytree(lab.expno(expno), self.folder / str(expno))
                self.expnos.append(expno)
        return self

    def drawn(self, folder: Path, *, noise: float, seed: int, expnos: Sequence[int] | None = None) -> Path:
        """Write the same acquisitions with noise into another folder, and return it.

        Parameters
        ----------
        noise : float
            Of one scan and real channel, in units of the whole magnetisation.
        """
        for expno in self.expnos if expnos is None else expnos:
            source, target = self.folder / str(expno), folder / str(expno)
            if not target.exists():
                shutil.copytree(source, target)
            raw: NDArray[np.float64] = np.fromfile(source / "ser", "<f8")
            rng = np.random.default_rng([seed, expno])
            sd = COUNTS * noise * np.sqrt(SCANS)
            (target / "ser").write_bytes((raw + sd * rng.standard_normal(raw.size)).tobytes())
        return folder
