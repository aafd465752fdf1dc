"""One EXPNO of Bruker data as plain arrays with the parameters that the acquisition really had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.errors import Finding, InputError
from labctl.formats.bruker_audit import AuditTrail
from labctl.formats.bruker_jcamp import Value
from labctl.formats.bruker_kind import Dimension, Kind, Quadrature, guess_kind, quadrature
from labctl.formats.bruker_lists import read_delays, read_pulses
from labctl.formats.bruker_raw import RawRows, read_fid, read_ser, sample_type
from labctl.formats.bruker_status import StatusParameters

__all__ = ["BrukerDataset", "Ending", "IndirectAxis", "Kind", "Quadrature", "read_dataset"]

Ending = Literal["complete", "halted", "unfinished"]

PLAUSIBLE_K = (50.0, 700.0)
"""TE outside means no VT unit; placeholders such as 683.16 pass and show only as constants over a series."""

_FIRST_DSPFVS_WITH_GRPDLY = 14


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
    dimension: Dimension
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


def _scaled(data: NDArray[np.complex128], exponent: int) -> NDArray[np.complex128]:
    """Counts on one scale; what is no number stays none, for the analysis to refuse."""
    with np.errstate(invalid="ignore"):
        return np.asarray(data * 2.0**exponent, dtype=np.complex128)


def read_dataset(expno_dir: Path) -> BrukerDataset:
    """Return one EXPNO of Bruker data, whatever its console wrote.

    int32 or float64, either byte order, any length of row, cut short or not: the files decide, not their names.

    Raises
    ------
    InputError
        No raw data, parameters missing or broken (file and line named), or data that are not complex.
    """
    folder = Path(expno_dir)
    status = StatusParameters.read(folder)
    remarks: list[str] = []
    raw = _raw(folder, status)
    remarks.extend(raw.remarks)
    rows_asked, ending = _extent(status, raw)
    rows = min(raw.rows_filled, status.rows_written)
    if raw.rows_filled < min(raw.rows_on_disk, status.rows_written):
        remarks.append(f"rows {raw.rows_filled + 1} to {min(raw.rows_on_disk, status.rows_written)} hold only zeros")
    if ending == "halted":
        remarks.append(
            "halted: the acquisition was ended early" + ("; its last row may hold fewer scans" if rows > 1 else "")
        )
    delays_s, pulses_s = _lists(folder, status, remarks)
    encoding: Quadrature = (
        "none" if status.acqu2s is None else quadrature(status.acqu2s.get("FnMODE"), status.proc2s.get("MC2"))
    )
    dimension: Dimension = "1D"
    if status.acqu2s is not None:
        listed = delays_s is not None or pulses_s is not None
        dimension = "pseudo-2D" if listed and status.acqu2s.get("FnMODE", 0) in {0, 1} else "2D"
    homonuclear = status.acqu2s is not None and status.acqu2s.get("NUC1") == status.acqus.get("NUC1")
    mixing_time_s = status.delay(8)
    kind = guess_kind(
        dimension=dimension,
        pulse_program=status.text("PULPROG"),
        encoding=encoding,
        homonuclear=homonuclear,
        mixing_time_s=mixing_time_s,
        has_delays=delays_s is not None,
        has_pulses=pulses_s is not None,
    )
    if status.acqus.get("FnTYPE") == 2:
        kind = "unknown"
        remarks.append("rows were sampled non-uniformly (FnTYPE 2)")
    larmor_MHz = status.number("SFO1")
    reference = status.procs.get("SF", status.acqus.get("BF1", larmor_MHz))
    reference_MHz = float(reference) if isinstance(reference, (int, float)) and reference > 0 else larmor_MHz
    spinning = status.acqus.get("MASR")
    if spinning in {4200, 5000}:
        remarks.append(f"MASR {spinning} is TopSpin's default; the rate may never have been set")
    sensor = status.acqus.get("TE")
    started_s, ended_s = _times(status)
    return BrukerDataset(
        path=folder,
        dimension=dimension,
        kind=kind,
        data=_scaled(raw.data[:rows], status.integer("NC", 0)),
        rows_asked=rows_asked,
        rows_acquired=rows,
        ending=ending,
        nucleus=status.text("NUC1"),
        larmor_MHz=larmor_MHz,
        reference_MHz=reference_MHz,
        spectral_width_Hz=status.number("SW_h"),
        group_delay_points=_group_delay(status, remarks),
        scans=status.integer("NS", 1),
        mixing_time_s=mixing_time_s if kind == "exsy" else None,
        recycle_delay_s=status.delay(1),
        pulse_s=status.pulse(1) or 0.0,
        indirect=_indirect(status, encoding, kind, reference_MHz, remarks) if dimension == "2D" else None,
        delays_s=delays_s if dimension == "pseudo-2D" else None,
        pulses_s=pulses_s if dimension == "pseudo-2D" else None,
        spinning_Hz=float(spinning) if isinstance(spinning, (int, float)) and spinning > 0 else None,
        sensor_K=float(sensor)
        if isinstance(sensor, (int, float)) and PLAUSIBLE_K[0] < sensor < PLAUSIBLE_K[1]
        else None,
        receiver_gain=float(gain) if isinstance(gain := status.acqus.get("RG"), (int, float)) else None,
        pulse_program=status.text("PULPROG"),
        title=status.title,
        started_s=started_s,
        ended_s=ended_s,
        audit=status.audit,
        acqus=status.acqus,
        acqu2s=status.acqu2s or {},
        procs=status.procs,
        remarks=tuple(remarks),
    )


def _raw(folder: Path, status: StatusParameters) -> RawRows:
    td = int(status.number("TD"))
    if status.acqus.get("AQ_mod", 3) in {0, 2}:
        raise InputError(
            findings=(
                Finding(
                    file=str(folder / "acqus"),
                    key_path="AQ_mod",
                    what="the points are not complex",
                    value=repr(status.acqus["AQ_mod"]),
                    expected="expected 1 (qsim) or 3 (DQD)",
                ),
            )
        )
    sample = sample_type(folder / "acqus", status.acqus.get("DTYPA", 0), status.acqus.get("BYTORDA", 0))
    if (folder / "ser").is_file():
        if status.acqu2s is None:
            raise InputError(findings=(Finding(file=str(folder), what="a ser but neither acqu2s nor acqu2"),))
        return read_ser(folder / "ser", sample, td, status.rows_written)
    if (folder / "fid").is_file():
        return read_fid(folder / "fid", sample, td)
    raise InputError(
        findings=(
            Finding(file=str(folder), what="no raw data", expected="expected fid or ser: was it acquired at all?"),
        )
    )


def _extent(status: StatusParameters, raw: RawRows) -> tuple[int, Ending]:
    """Rows asked for, and how the acquisition ended: by its audit trail, and by what the file really holds."""
    asked = status.acqu2.get("TD", status.rows_written) if status.acqu2s is not None else 1
    rows_asked = max(int(asked), status.rows_written) if isinstance(asked, (int, float)) else status.rows_written
    audit = status.audit
    if audit is not None and audit.ended in {"halt", "stop"}:
        return rows_asked, "halted"
    if (audit is not None and audit.in_progress) or raw.rows_filled < status.rows_written:
        return rows_asked, "unfinished"
    if status.acqu2s is None and raw.remarks:
        return rows_asked, "unfinished"
    return rows_asked, "halted" if status.rows_written < rows_asked else "complete"


def _group_delay(status: StatusParameters, remarks: list[str]) -> float:
    """Return GRPDLY, guarded: converted data (DIGMOD 0 or DSPFVS -1) keep a number that no longer applies."""
    delay = status.acqus.get("GRPDLY", -1)
    dspfvs, decim = status.integer("DSPFVS", 0), status.integer("DECIM", 0)
    if status.acqus.get("DIGMOD") == 0 or dspfvs == -1:
        return 0.0
    if isinstance(delay, (int, float)) and delay >= 0:
        return float(delay)
    if dspfvs >= _FIRST_DSPFVS_WITH_GRPDLY or decim <= 1:
        return 0.0
    from nmrglue.fileio.bruker import bruker_dsp_table  # noqa: PLC0415 - a second to import, for consoles before 2003

    table = bruker_dsp_table.get(dspfvs, {})
    if decim not in table:
        remarks.append(f"the group delay for DSPFVS {dspfvs}, DECIM {decim} is not known; taken as 0")
        return 0.0
    return float(table[decim])


def _lists(
    folder: Path, status: StatusParameters, remarks: list[str]
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Delay and pulse lists stored with the data: ``lists/vd/<name>`` since TopSpin 4.2, ``vdlist`` before."""
    if status.acqu2s is None:
        return None, None
    found: list[tuple[float, ...] | None] = []
    for kind, read in (("vd", read_delays), ("vp", read_pulses)):
        name = status.text(f"{kind.upper()}LIST")
        named = bool(name) and set(name) != {kind[1].upper()} and name != f"{kind}list"
        places = [folder / f"{kind}list"]
        if named:
            places.insert(0, folder / "lists" / kind / name.replace("\\", "/").rsplit("/", 1)[-1])
        path = next((place for place in places if place.is_file()), None)
        found.append(read(path) if path is not None else None)
        if path is None and named and status.acqu2s.get("FnMODE", 0) in {0, 1}:
            remarks.append(f"the list {name} ({kind}) is not stored with the data")
    return found[0], found[1]


def _indirect(
    status: StatusParameters, encoding: Quadrature, kind: Kind, reference_MHz: float, remarks: list[str]
) -> IndirectAxis:
    assert status.acqu2s is not None
    width, larmor = status.acqu2s.get("SW_h"), status.acqu2s.get("SFO1", status.acqus.get("SFO1"))
    increments = status.acqus.get("INF")
    increment_s = 0.0
    if isinstance(increments, list) and len(increments) > 1 and isinstance(increments[1], (int, float)):
        increment_s = float(increments[1]) * 1e-6
    if isinstance(width, (int, float)) and width > 0:
        from_width_s = (0.5 if encoding == "TPPI" else 1.0) / float(width)
        if increment_s > 0 and abs(increment_s / from_width_s - 1) > 1e-3:
            remarks.append(
                f"IN_F {increment_s * 1e6:.6g} us disagrees with SW_h of F1, {from_width_s * 1e6:.6g} us (taken)"
            )
        increment_s = from_width_s
    elif increment_s <= 0:
        raise InputError(
            findings=(
                Finding(
                    file=str(status.folder / "acqu2s"),
                    key_path="SW_h",
                    what="neither SW_h of F1 nor INF gives the increment of t1",
                ),
            )
        )
    start_s = status.delay(0) or 0.0
    if kind == "exsy":
        start_s += 4.0 * (status.pulse(1) or 0.0) / np.pi
    larmor_MHz = float(larmor) if isinstance(larmor, (int, float)) else 0.0
    same = status.acqu2s.get("NUC1") == status.acqus.get("NUC1")
    zero = reference_MHz if same else status.proc2s.get("SF", status.acqu2s.get("BF1", larmor_MHz))
    zero_MHz = float(zero) if isinstance(zero, (int, float)) and zero > 0 else larmor_MHz
    return IndirectAxis(
        quadrature=encoding,
        increment_s=increment_s,
        start_s=start_s,
        spectral_width_Hz=1.0 / increment_s,
        larmor_MHz=larmor_MHz,
        carrier_ppm=(larmor_MHz - zero_MHz) / zero_MHz * 1e6 if zero_MHz else 0.0,
        nucleus=str(status.acqu2s.get("NUC1", "")),
    )


def _times(status: StatusParameters) -> tuple[float | None, float | None]:
    """Start and end: the audit trail; else DATE_START and DATE, which are the start and end only since TopSpin 3.7."""
    audit = status.audit
    started_s = audit.started_s if audit else None
    ended_s = audit.ended_s if audit else None
    if status.topspin >= (3, 7) and (audit is None or audit.acquired):
        began, ended = status.acqus.get("DATE_START"), status.acqus.get("DATE")
        if started_s is None and isinstance(began, (int, float)) and began > 0:
            started_s = float(began)
        if ended_s is None and isinstance(ended, (int, float)) and ended > 0 and not (audit and audit.in_progress):
            ended_s = float(ended)
    return started_s, ended_s
