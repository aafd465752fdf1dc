"""An impedance spectrum as any file gives it: frequencies, complex impedances, and what is known beside them.

Signs are the physicist's: the imaginary part of a capacitor's impedance is negative. Readers are in
`labctl.formats.impedance_file`; nothing here touches a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

Dialect = Literal["NOVA ASCII", "Z60W", "FRA dfr", "NOVA nox"]
AmplitudeKind = Literal["rms", "peak", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PelletGeometry:
    """The pellet between its electrodes, as the person measured it; standard errors where they are known."""

    thickness_mm: float
    diameter_mm: float
    thickness_se_mm: float | None = None
    diameter_se_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImpedanceSpectrum:
    """One sweep.

    Attributes
    ----------
    frequency_Hz : ndarray, shape (N,)
        As measured, in the order of measurement; positive.
    Z_ohm : ndarray of complex, shape (N,)
        Im Z < 0 for a capacitor, whatever the file's convention.
    block, line : int
        Which spectrum of its file this is (from 0), and the line of its first point (0 where there are no lines).
    amplitude_V, amplitude_kind
        Of the excitation; ``unknown`` where the file does not say whether it is rms or peak.
    started_s, ended_s : float or None
        Wall time [s since 1970 UTC].
    measured_points : int
        Points of the sweep as measured; more than N where some held no finite number and were left out.
    position : ndarray of int, shape (N,)
        Which of the measured points each one is, from 0.
    time_s : ndarray, shape (N,), or None
        The file's own time column, from its own origin.
    temperature_K, temperature_se_K, temperature_before_K, temperature_after_K, setpoint_K : float or None
        Of the sample: mean over the sweep and its standard error, just before, just after.
    moved : bool or None
        Whether the temperature moved during the sweep by more than the campaign allows.
    current_range_A : ndarray, shape (N,), or None
    overload : ndarray of bool, shape (N,), or None
        Points during which an amplifier was over its range.
    point_remarks : tuple of str
        One per point where anything was said of points, otherwise empty.
    current_noise_A, gain_noise : float or None
        Standard deviation of each quadrature of the current phasor (rms), and of the gain as a fraction.
    extra : mapping of column name to ndarray, shape (N,)
        Numeric columns nobody asked for; nan where a cell holds no number.
    metadata : mapping
        What else the sidecar says, as it stands.
    remarks : tuple of str
        What the reader left out or noticed, and remark rows of the file.
    """

    frequency_Hz: FloatArray
    Z_ohm: ComplexArray
    path: Path
    dialect: Dialect
    block: int = 0
    line: int = 0
    instrument: str = ""
    sample: str = ""
    amplitude_V: float | None = None
    amplitude_kind: AmplitudeKind = "unknown"
    dc_bias_V: float | None = None
    started_s: float | None = None
    ended_s: float | None = None
    measured_points: int = 0
    position: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    time_s: FloatArray | None = None
    temperature_K: float | None = None
    temperature_se_K: float | None = None
    temperature_before_K: float | None = None
    temperature_after_K: float | None = None
    setpoint_K: float | None = None
    moved: bool | None = None
    current_range_A: FloatArray | None = None
    overload: NDArray[np.bool_] | None = None
    point_remarks: tuple[str, ...] = ()
    current_noise_A: float | None = None
    gain_noise: float | None = None
    pellet: PelletGeometry | None = None
    extra: Mapping[str, FloatArray] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Fill in that every measured point is there, unless the reader said otherwise."""
        if not self.position.size:
            object.__setattr__(self, "position", np.arange(self.frequency_Hz.size))
            object.__setattr__(self, "measured_points", int(self.frequency_Hz.size))

    @property
    def points(self) -> int:
        """Number of points."""
        return int(self.frequency_Hz.size)

    @property
    def name(self) -> str:
        """The file's name, with the number of the block where there are several."""
        return self.path.name if not self.block else f"{self.path.name}#{self.block + 1}"
