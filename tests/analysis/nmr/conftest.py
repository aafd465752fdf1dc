"""FIDs written down from the plain equations of the experiment, sharing no code with what analyses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from labctl.formats.bruker_dataset import BrukerDataset, IndirectAxis, Quadrature

Real = NDArray[np.float64]
MHZ = 73.578


@dataclass(frozen=True)
class Sample:
    """Sites of a sample and how one looks at them; times in s, frequencies in Hz, noise per scan and real channel."""

    offset: Sequence[float] = (169.97, 94.92, -335.52)
    lorentz: Sequence[float] = (30.0, 15.0, 40.0)
    gauss: Sequence[float] = (0.0, 0.0, 0.0)
    phase: float = 0.4
    width: float = 10_000.0
    points: int = 1536
    delay: int = 68
    scans: int = 8
    noise: float = 20.0
    names: tuple[str, ...] = ("Li2S", "LPSC", "LiI")
    ppm: dict[str, float] = field(default_factory=lambda: {"Li2S": 2.31, "LPSC": 1.29, "LiI": -4.56})

    def f2(self) -> NDArray[np.complex128]:
        """exp(i w t2) s(t2) after the group delay, nothing before; shape (points, sites)."""
        t = np.asarray((np.arange(self.points) - self.delay)[:, None] / self.width, dtype=np.float64)
        after: Real = np.where(t > 0, t, 0.0)
        signal = np.exp(2j * np.pi * np.array(self.offset) * t + 1j * self.phase) * self.decay(after)
        return np.where(t >= 0, signal, 0)

    def decay(self, t: Real) -> Real:
        """Voigt decay of each site."""
        gauss = (np.pi * np.array(self.gauss) * t) ** 2 / (4 * np.log(2))
        return np.asarray(np.exp(-np.pi * np.array(self.lorentz) * t - gauss))

    def _noisy(self, signal: NDArray[np.complex128], seed: int) -> NDArray[np.complex128]:
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape)
        return np.asarray(signal * self.scans + self.noise * np.sqrt(self.scans) * noise)

    def exsy(
        self,
        A: Real,
        *,
        rows: int = 48,
        increment: float = 0.8e-3,
        start: float = 0.4e-3,
        quadrature: Quadrature = "States-TPPI",
        seed: int = 0,
        tmix: float = 1.0,
    ) -> BrukerDataset:
        """Cos and sin rows sum_ij A_ij {cos, sin}(w_i t1) s_i(t1) exp(i w_j t2) s_j(t2), as F1 encodes them."""
        pair = np.arange(rows) // 2
        t1: Real = np.asarray((start + pair * increment)[:, None], dtype=np.float64)
        angle = 2 * np.pi * np.array(self.offset) * t1
        cos, sin = np.cos(angle) * self.decay(t1), np.sin(angle) * self.decay(t1)
        odd = (np.arange(rows) % 2 == 1)[:, None]
        if quadrature == "echo-antiecho":
            f1 = np.where(odd, cos - 1j * sin, cos + 1j * sin)
        else:
            f1 = np.where(odd, sin, cos).astype(complex)
        if quadrature == "States-TPPI":
            f1 = f1 * np.where(pair % 2, -1, 1)[:, None]
        return self._dataset(self._noisy(f1 @ A @ self.f2().T, seed)).two_d(increment, start, quadrature, tmix)

    def rows(self, amplitudes: Real, *, seed: int = 0) -> Wrapped:
        """One FID per row of amplitudes, shape (rows, sites)."""
        return self._dataset(self._noisy(amplitudes @ self.f2().T, seed))

    def _dataset(self, data: NDArray[np.complex128]) -> Wrapped:
        dataset = BrukerDataset(
            path=Path("made-up"),
            dimension="1D",
            kind="one_pulse",
            data=data,
            rows_asked=len(data),
            rows_acquired=len(data),
            ending="complete",
            nucleus="6Li",
            larmor_MHz=MHZ,
            reference_MHz=MHZ,
            spectral_width_Hz=self.width,
            group_delay_points=float(self.delay),
            scans=self.scans,
            mixing_time_s=None,
            recycle_delay_s=50.0,
            pulse_s=4.9e-6,
            indirect=None,
            delays_s=None,
            pulses_s=None,
            spinning_Hz=10_000.0,
            sensor_K=293.15,
            receiver_gain=1.0,
            pulse_program="zg",
            title="",
            started_s=None,
            ended_s=None,
            audit=None,
        )
        return Wrapped(dataset)


@dataclass(frozen=True)
class Wrapped:
    """A dataset that is yet to be told what experiment it is."""

    one_d: BrukerDataset

    def two_d(self, increment: float, start: float, quadrature: Quadrature, tmix: float) -> BrukerDataset:
        """As a 2D-EXSY."""
        axis = IndirectAxis(
            quadrature=quadrature,
            increment_s=increment,
            start_s=start,
            spectral_width_Hz=1 / increment,
            larmor_MHz=MHZ,
            carrier_ppm=0.0,
            nucleus="6Li",
        )
        return replace(
            self.one_d, dimension="2D", kind="exsy", indirect=axis, mixing_time_s=tmix, pulse_program="noesyph"
        )

    def recovery(self, delays: Sequence[float]) -> BrukerDataset:
        """As a saturation recovery."""
        return replace(
            self.one_d,
            dimension="pseudo-2D",
            kind="saturation_recovery",
            delays_s=tuple(delays),
            pulse_program="satrect1",
        )

    def nutation(self, pulses: Sequence[float]) -> BrukerDataset:
        """As a nutation series."""
        return replace(
            self.one_d, dimension="pseudo-2D", kind="nutation", pulses_s=tuple(pulses), pulse_program="zg2d_nut"
        )


@pytest.fixture(scope="session")
def sample() -> Sample:
    """Return the three lithium sites of the paper: 75 Hz between the closest, 15 to 40 Hz wide."""
    return Sample()


@pytest.fixture(scope="session")
def truth() -> Real:
    """Return a mixing matrix with strong and weak cross peaks, counts per scan."""
    return 1000.0 * np.array([[0.38, 0.06, 0.02], [0.055, 0.37, 0.015], [0.02, 0.012, 0.05]])
