"""One EXPNO of Bruker data as plain arrays with the parameters that the acquisition really had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.formats.bruker_audit import AuditTrail
from labctl.formats.bruker_jcamp import Value

Kind = Literal["exsy", "saturation_recovery", "inversion_recovery", "nutation", "one_pulse", "unknown"]
Ending = Literal["complete", "halted", "unfinished"]
Quadrature = Literal["none", "QF", "QSEQ", "TPPI", "States", "States-TPPI", "echo-antiecho"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndirectAxis:
    """F1 of a 2D.

    `start_s` is the effective first t1: D0 plus 4 P1/pi for the precession during the two pulses around t1
    (half a dwell in ``noesyph``, a few microseconds where D0 is about zero).
    """

    quadrature: Quadrature
    increment_s: float
    start_s: float
    spectral_width_Hz: float
    larmor_MHz: float
    carrier_ppm: float
    nucleus: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrukerDataset:
    """Raw data of one EXPNO, and the status parameters it was acquired with.

    Attributes
    ----------
    path : Path
        The EXPNO folder.
    dimension : str
        ``1D``, ``pseudo-2D`` (a list of delays, pulses... in the rows) or ``2D``.
    kind : str
        What it seems to be, guessed from parameters.
    data : complex ndarray, shape (rows_acquired, points)
        Rows really acquired, cropped to TD/2 complex points, scaled by 2**NC. The group delay is still there.
    rows_asked, rows_acquired : int
        Rows requested and rows that hold data; for States-type 2D two rows make one complex increment.
    ending : str
        ``complete``; ``halted`` (by a person or guard, data usable); ``unfinished`` (running, killed, or short file).
    larmor_MHz, reference_MHz : float
        SFO1 (frequency of offset zero), and SF (frequency of 0 ppm; BF1 where no referencing is stored).
    spectral_width_Hz : float
        F2 window; the dwell of a complex point is its inverse.
    group_delay_points : float
        Complex points of filter build-up before the signal starts; 0 for data whose filter was removed.
    mixing_time_s, recycle_delay_s : float or None
        D8 and D1 as acquired.
    pulse_s : float
        P1.
    delays_s, pulses_s : tuple of float or None
        The list along the rows of a pseudo-2D (as asked for; may be longer than `rows_acquired`).
    spinning_Hz : float or None
        MASR; a default of 4200 or 5000 that was never set looks the same (see `remarks`).
    sensor_K : float or None
        TE, None where implausible (no VT unit).
    started_s, ended_s : float or None
        Wall time [s since 1970 UTC].
    acqus, acqu2s, procs : mapping
        The status parameters as read.
    """

    path: Path
    dimension: Literal["1D", "pseudo-2D", "2D"]
    kind: Kind
    data: NDArray[np.complex128]
    rows_asked: int
    rows_acquired: int
    ending: Ending
    nucleus: str
    larmor_MHz: float
    reference_MHz: float
    spectral_width_Hz: float
    group_delay_points: float
    scans: int
    mixing_time_s: float | None
    recycle_delay_s: float | None
    pulse_s: float
    indirect: IndirectAxis | None
    delays_s: tuple[float, ...] | None
    pulses_s: tuple[float, ...] | None
    spinning_Hz: float | None
    sensor_K: float | None
    receiver_gain: float | None
    pulse_program: str
    title: str
    started_s: float | None
    ended_s: float | None
    audit: AuditTrail | None
    acqus: Mapping[str, Value] = field(default_factory=dict, repr=False)
    acqu2s: Mapping[str, Value] = field(default_factory=dict, repr=False)
    procs: Mapping[str, Value] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """Complex points of a row."""
        return int(self.data.shape[1])

    @property
    def dwell_s(self) -> float:
        """Time between complex points of F2 [s]."""
        return 1.0 / self.spectral_width_Hz

    @property
    def carrier_ppm(self) -> float:
        """Chemical shift of offset zero."""
        return (self.larmor_MHz - self.reference_MHz) / self.reference_MHz * 1e6

    def ppm(self, offset_Hz: float) -> float:
        """Return the chemical shift of an offset from the carrier."""
        return self.carrier_ppm + offset_Hz / self.reference_MHz

    def offset_Hz(self, ppm: float) -> float:
        """Return the offset from the carrier of a chemical shift."""
        return (ppm - self.carrier_ppm) * self.reference_MHz


def read_dataset(expno_dir: Path) -> BrukerDataset:
    """Return one EXPNO of Bruker data, whatever its console wrote: int32 or float64, either byte order, cut short or not.

    Raises
    ------
    InputError
        No raw data, parameters missing or broken (file and line named), or a layout that cannot be told.
    """
    raise NotImplementedError(expno_dir)
