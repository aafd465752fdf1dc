"""A small lab for the analysis: run folders of a two-site sample, signals and files composed here alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from labctl.dataset.model import Completeness, Dataset, DatasetKind, SampleTemperature
from labctl.dataset.store import write_manifest

FloatArray = NDArray[np.float64]

LARMOR_MHZ = 73.578
WIDTH_HZ, POINTS, INCREMENT_S = 2500.0, 192, 0.8e-3
KB_EV_PER_K = 8.617333262e-5


@dataclass
class Sample:
    """Two sites that exchange; T1 may differ."""

    ppm: dict[str, float] = field(default_factory=lambda: {"A": 1.0, "B": -1.0})
    p: tuple[float, float] = (0.6, 0.4)
    k_AB_at_333K: float = 1.0
    Ea_eV: float = 0.15
    T1_s: tuple[float, float] = (9.0, 4.0)
    fwhm_Hz: tuple[float, float] = (18.0, 25.0)

    def k(self, T_K: float) -> float:
        """Return k_AB [1/s]."""
        return float(self.k_AB_at_333K * np.exp(-self.Ea_eV / KB_EV_PER_K * (1 / T_K - 1 / 333.15)))

    def generator(self, T_K: float) -> FloatArray:
        """Return L of dM/dt = L (M - Meq)."""
        k = self.k(T_K)
        back = k * self.p[0] / self.p[1]
        return np.array([[-k - 1 / self.T1_s[0], back], [k, -back - 1 / self.T1_s[1]]])


@dataclass
class Lab:
    """Writes datasets into a run folder as an engine and a console would leave them."""

    run_dir: Path
    sample: Sample = field(default_factory=Sample)
    noise: float = 0.01
    clock_s: float = 1.7e9
    seed: int = 0
    expno: int = 0

    def one_pulse(
        self,
        T_K: float,
        last: str,
        *,
        shift_ppm: float = 0.0,
        area: float = 1.0,
        after_s: float = 900.0,
        **more: object,
    ) -> Dataset:
        """Acquire a 1D whose lines stand `shift_ppm` off."""
        rows = area * np.array(self.sample.p)[None, :] @ self._detected(shift_ppm).T
        return self._leave("one_pulse", T_K, last, rows, "zg", after_s=after_s)

    def nutation(self, T_K: float, last: str = "pulse", *, p90_us: float, expected_us: float = 5.0) -> Dataset:
        """Acquire a series of pulse lengths."""
        pulses_us = np.linspace(1, 20, 12)
        heights = np.sin(np.pi * pulses_us / (2 * p90_us))
        rows = heights[:, None] * np.array(self.sample.p) @ self._detected().T
        files = {"vplist": "\n".join(f"{pulse:.4f}" for pulse in pulses_us)}
        settings: dict[str, float | int | str] = {"pulse_s": expected_us * 1e-6}
        return self._leave("nutation", T_K, last, rows, "zg2d_nut", files=files, settings=settings)

    def saturation_recovery(self, T_K: float, delays_s: Sequence[float] | None = None) -> Dataset:
        """Acquire a saturation recovery."""
        delays = np.geomspace(0.05, 45, 10) if delays_s is None else np.array(delays_s)
        L, p = self.sample.generator(T_K), np.array(self.sample.p)
        rows = np.array([p - expm(L * t) @ p for t in delays]) @ self._detected().T
        files = {"vdlist": "\n".join(f"{delay:.6f}" for delay in delays)}
        return self._leave("saturation_recovery", T_K, "t1", rows, "satrect1", files=files)

    def exsy(
        self, T_K: float, last: str, tmix_s: float, *, d1_s: float = 12.0, rows: int = 48, asked: int = 48
    ) -> Dataset:
        """Acquire a 2D-EXSY."""
        L, p = self.sample.generator(T_K), np.array(self.sample.p)
        A = (expm(L * tmix_s) @ np.diag(p - expm(L * d1_s) @ p)).T
        omega = 2 * np.pi * np.array(list(self.sample.ppm.values())) * LARMOR_MHZ
        t1 = (np.arange(rows // 2) + 0.5) * INCREMENT_S
        E1 = np.empty((rows, 2))
        E1[0::2], E1[1::2] = np.cos(omega * t1[:, None]), np.sin(omega * t1[:, None])
        E1 *= np.exp(-np.pi * np.array(self.sample.fwhm_Hz) * np.repeat(t1, 2)[:, None])
        signal = np.repeat((-1.0) ** np.arange(rows // 2), 2)[:, None] * (E1 @ A @ self._detected().T)
        done: Completeness = "complete" if rows == asked else "partial"
        return self._leave(
            "exsy", T_K, last, signal, "noesyph", tmix_s=tmix_s, d1_s=d1_s, asked=asked, completeness=done
        )

    def _detected(self, shift_ppm: float = 0.0) -> NDArray[np.complex128]:
        omega = 2 * np.pi * (np.array(list(self.sample.ppm.values())) + shift_ppm) * LARMOR_MHZ
        t2 = np.arange(POINTS) / WIDTH_HZ
        return np.asarray(np.exp((1j * omega - np.pi * np.array(self.sample.fwhm_Hz)) * t2[:, None]))

    def _leave(
        self,
        kind: DatasetKind,
        T_K: float,
        last: str,
        rows: NDArray[np.complex128],
        program: str,
        *,
        files: dict[str, str] | None = None,
        settings: dict[str, float | int | str] | None = None,
        tmix_s: float = 0.0,
        d1_s: float = 12.0,
        asked: int = 0,
        completeness: Completeness = "complete",
        after_s: float = 900.0,
    ) -> Dataset:
        self.expno += 10
        self.clock_s += after_s
        rng = np.random.default_rng([self.seed, self.expno])
        rows = 1e6 * (rows + self.noise * (rng.standard_normal(rows.shape) + 1j * rng.standard_normal(rows.shape)))
        folder = self.run_dir / "nmr500" / str(self.expno)
        folder.mkdir(parents=True)
        status: dict[str, object] = {
            "PULPROG": f"<{program}>",
            "TD": 2 * POINTS,
            "NS": 1,
            "SW_h": WIDTH_HZ,
            "BF1": LARMOR_MHZ,
            "SFO1": LARMOR_MHZ,
            "NUC1": "<6Li>",
            "AQ_mod": 3,
            "DIGMOD": 0,
            "DTYPA": 2,
            "BYTORDA": 0,
            "NC": 0,
            "TE": T_K,
            "RG": 101,
            "D": f"(0..9)\n{0.5 * INCREMENT_S - 4 * 5e-6 / np.pi} {d1_s} 0 0 0 0 0 0 {tmix_s} 0",
            "P": "(0..1)\n0 5",
            "INF": f"(0..1)\n0 {1e6 * INCREMENT_S}",
        }
        if files is not None:
            status |= {name[:2].upper() + "LIST": f"<{name}>" for name in files}
        _write_parameters(folder / "acqus", status)
        if kind != "one_pulse":
            indirect: dict[str, object] = {"TD": len(rows), "FnMODE": 5 if kind == "exsy" else 1, "NUC1": "<6Li>"}
            indirect |= {"SFO1": LARMOR_MHZ, "BF1": LARMOR_MHZ, "SW_h": 1 / INCREMENT_S}
            _write_parameters(folder / "acqu2s", indirect)
            _write_parameters(folder / "acqu2", indirect | {"TD": asked or len(rows)})
        raw = b"".join(_padded(row.astype("<c16").tobytes(), kind != "one_pulse") for row in np.atleast_2d(rows))
        (folder / ("fid" if kind == "one_pulse" else "ser")).write_bytes(raw)
        for name, text in (files or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
        index = int(T_K)
        dataset = Dataset(
            step_id=f"nmr500/vt_exsy/T{index:02d}/{last}",
            key="0" * 32,
            attempt=1,
            station="nmr500",
            procedure="vt_exsy",
            kind=kind,
            directory=f"nmr500/{self.expno}",
            files=(),
            completeness=completeness,
            started_s=self.clock_s,
            ended_s=self.clock_s + 60,
            temperature=SampleTemperature(
                setpoint_K=T_K - 8, sensor_K=T_K - 8, sample_K=T_K, sample_se_K=0.3, model="offset"
            ),
            temperature_index=index,
            settings=settings or {},
        )
        write_manifest(self.run_dir, dataset)
        return dataset


def _write_parameters(path: Path, values: dict[str, object]) -> None:
    lines = ["##TITLE= Parameter file", "##JCAMPDX= 5.0", *(f"##${name}= {value}" for name, value in values.items())]
    path.write_text("\n".join([*lines, "##END=", ""]), encoding="utf-8")


def _padded(raw: bytes, pad: bool) -> bytes:
    return raw + b"\0" * (-len(raw) % 1024) if pad else raw
