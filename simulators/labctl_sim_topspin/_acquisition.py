"""What a pulse program does with its parameters: how long each scan takes, and what the coil sees.

Conventions of the raw data (checked against published data sets): a line left of the carrier is exp(+i Omega t);
in the 2D the rows 2k and 2k+1 are cosine and sine of Omega t1, both times (-1)^k for States-TPPI. The effective t1 of
increment k is D0 + k IN0 + 4 P1 / pi: magnetisation precesses during the two pulses that enclose t1.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._parameters import Parameters
from labctl_sim_topspin._settings import Experiment, Settings

if TYPE_CHECKING:
    from labctl_sim_sample import NmrSample

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

CLOCK_Hz = 20e6
"""SW_h times DECIM, in every data set of a digital console: the width is rounded to a whole DECIM."""

STATES, STATES_TPPI, ECHO_ANTIECHO = 4, 5, 6
_FULL_SCALE = 6.0  # what overflows the receiver, in units of the whole magnetisation at RG 101
_OVERHEAD_s = 0.002  # per scan: phase and frequency setting, DE, receiver gate


class PulseProgramError(Exception):
    """A pulse program cannot start; the text is what the console shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """One acquisition as the console will carry it out, frozen when it starts; plain data.

    `first_t1_s` is D0 and `increment_s` IN0; `group_delay` counts complex points; `points` is TD.
    """

    experiment: Experiment
    pulse_program: str
    nucleus: str
    larmor_MHz: float
    carrier_ppm: float
    rows: int
    scans: int
    dummy_scans: int
    points: int
    decimation: int
    group_delay: int
    recycle_s: float
    mixing_s: float
    pulse_s: float
    comb_s: float
    delays_s: tuple[float, ...]
    pulses_s: tuple[float, ...]
    first_t1_s: float
    increment_s: float
    encoding: int
    receiver_gain: float

    @property
    def two_dimensional(self) -> bool:
        """Whether raw data are a ``ser``."""
        return self.experiment != "one_pulse"

    @property
    def dwell_s(self) -> float:
        """Time between two complex points."""
        return self.decimation / CLOCK_Hz

    @property
    def acquisition_s(self) -> float:
        """Time the receiver is open."""
        return self.points / 2 * self.dwell_s

    def scan_s(self) -> FloatArray:
        """Return how long one scan of each row takes, shape (rows,)."""
        common_s = self.recycle_s + self.acquisition_s + _OVERHEAD_s
        match self.experiment:
            case "one_pulse":
                special = np.zeros(1)
            case "nutation":
                special = self.comb_s + np.array(self.pulses_s)
            case "saturation_recovery":
                special = self.comb_s + np.array(self.delays_s)
            case "exsy":
                special = self.comb_s + self.mixing_s + self.t1_s()[np.arange(self.rows) // self._rows_per_t1]
        scan_s: FloatArray = common_s + np.resize(np.asarray(special, np.float64), self.rows)
        return scan_s

    def row_starts_s(self) -> FloatArray:
        """Return when each row begins and, last, when all is over; shape (rows + 1,), from the start."""
        scan_s = self.scan_s()
        starts_s: FloatArray = np.zeros(self.rows + 1)
        np.cumsum(self.scans * scan_s, out=starts_s[1:])
        starts_s += self.dummy_scans * scan_s[0]
        return starts_s

    def duration_s(self) -> float:
        """Return how long the acquisition takes."""
        return float(self.row_starts_s()[-1])

    @property
    def _rows_per_t1(self) -> int:
        return 2 if self.encoding in {STATES, STATES_TPPI, ECHO_ANTIECHO} else 1

    def t1_s(self) -> FloatArray:
        """Return the effective t1 of each increment."""
        count = -(-self.rows // self._rows_per_t1)
        first_s = self.first_t1_s + 4.0 * self.pulse_s / math.pi
        return np.asarray(first_s + np.arange(count) * self.increment_s, np.float64)

    def after_scan(self, elapsed_s: float) -> tuple[float, int, int]:
        """Return when the scan that runs at `elapsed_s` ends, and the whole rows and scans of all rows by then."""
        starts_s, scan_s = self.row_starts_s(), self.scan_s()
        if elapsed_s < starts_s[0]:  # a dummy scan
            done = math.ceil(max(elapsed_s, 1e-9) / scan_s[0])
            return min(float(done * scan_s[0]), float(starts_s[0])), 0, 0
        row = min(int(np.searchsorted(starts_s, elapsed_s, side="right")) - 1, self.rows - 1)
        scans = min(self.scans, math.ceil(max(elapsed_s - float(starts_s[row]), 1e-9) / float(scan_s[row])))
        end_s = float(starts_s[row]) + scans * float(scan_s[row])
        return end_s, row + (scans == self.scans), row * self.scans + scans

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> Sequence:
        """Return a sequence from its fields, as JSON gives them back."""
        return cls(**{**data, "delays_s": tuple(data["delays_s"]), "pulses_s": tuple(data["pulses_s"])})


def sequence_of(
    direct: Parameters,
    indirect: Parameters | None,
    settings: Settings,
    read_list: Callable[[str, str], tuple[float, ...]],
) -> Sequence:
    """Return the acquisition that these request parameters ask for.

    Parameters
    ----------
    read_list : callable
        Kind (``vd``, ``vp``) and name to values in seconds; raises PulseProgramError.

    Raises
    ------
    PulseProgramError
        Pulse program unknown, list missing, or values no console accepts.
    """
    program = str(direct["PULPROG"])
    experiment = settings.experiment(program)
    if experiment is None:
        known = ", ".join(settings.pulse_programs.values())
        raise PulseProgramError(f"pulse program {program} not found (this simulated site has {known})")
    two_dimensional = experiment != "one_pulse"
    if two_dimensional is not (par.number(direct, "PARMODE") == 1 and indirect is not None):
        raise PulseProgramError(f"{program} wants PARMODE {int(two_dimensional)} ({'2D' if two_dimensional else '1D'})")
    points, scans = int(par.number(direct, "TD")), int(par.number(direct, "NS"))
    rows = int(par.number(indirect, "TD")) if indirect is not None and two_dimensional else 1
    for name, value, top in (("TD", points, 2**22), ("NS", scans, 2**24), ("1 TD", rows, 2**16)):
        if not 1 <= value <= top:
            raise PulseProgramError(f"{name} = {value} is out of range")
    if points % 2:
        raise PulseProgramError(f"TD = {points} is odd")
    width_Hz = par.number(direct, "SW_h")
    if not 50.0 <= width_Hz <= 5e6:
        raise PulseProgramError(f"SW_h = {width_Hz:g} Hz is out of range")
    group_delay = 76 if settings.digital_filter == "baseopt" else 68
    if points // 2 <= group_delay:
        raise PulseProgramError(f"TD = {points} holds nothing but the digital filter's build-up")
    delays_s = read_list("vd", str(direct["VDLIST"])) if experiment == "saturation_recovery" else ()
    pulses_s = read_list("vp", str(direct["VPLIST"])) if experiment == "nutation" else ()
    entries = len(delays_s or pulses_s)
    if entries and rows > entries:
        raise PulseProgramError(f"TD(F1) = {rows} but the list has {entries} entries")
    pulse_s = par.number(direct, "P 1") * 1e-6
    encoding, increment_s, first_t1_s = 0, 0.0, 0.0
    if experiment == "exsy" and indirect is not None:
        encoding = int(par.number(indirect, "FnMODE"))
        if encoding not in {1, STATES, STATES_TPPI, ECHO_ANTIECHO}:
            raise PulseProgramError(f"FnMODE = {encoding}: {program} is written for 1, 4, 5 and 6")
        increment_s = par.number(direct, "INF 1") * 1e-6
        if not 1e-7 <= increment_s <= 1.0:
            raise PulseProgramError(f"INF 1 = {increment_s * 1e6:g} us is out of range")
        half = settings.first_increment == "half dwell"
        first_t1_s = max(0.0, increment_s / 2 - 4.0 * pulse_s / math.pi) if half else 3e-6
    return Sequence(
        experiment=experiment,
        pulse_program=program,
        nucleus=str(direct["NUC1"]),
        larmor_MHz=par.number(direct, "BF1"),
        carrier_ppm=par.number(direct, "O1") / par.number(direct, "BF1"),
        rows=rows,
        scans=scans,
        dummy_scans=max(0, int(par.number(direct, "DS"))),
        points=points,
        decimation=max(1, round(CLOCK_Hz / width_Hz)),
        group_delay=group_delay,
        recycle_s=par.number(direct, "D 1"),
        mixing_s=par.number(direct, "D 8"),
        pulse_s=pulse_s,
        comb_s=par.number(direct, "L 20") * (par.number(direct, "D 20") + pulse_s),
        delays_s=delays_s[:rows],
        pulses_s=pulses_s[:rows],
        first_t1_s=first_t1_s,
        increment_s=increment_s,
        encoding=encoding,
        receiver_gain=par.number(direct, "RG"),
    )


def signal(
    sequence: Sequence,
    nmr: NmrSample,
    *,
    temperature_K: Callable[[float], float],
    spinning_Hz: float,
) -> ComplexArray:
    """Return the noise-free FIDs of one scan, shape (rows, TD/2 - group delay).

    Parameters
    ----------
    temperature_K : callable
        Temperature of the sample at a time counted from the start of the acquisition.
    """
    from labctl_sim_sample import Receiver  # noqa: PLC0415 - scipy, when something is acquired

    receiver = Receiver(
        larmor_MHz=sequence.larmor_MHz,
        carrier_ppm=sequence.carrier_ppm,
        t2_s=np.arange(sequence.points // 2 - sequence.group_delay) * sequence.dwell_s,
        spinning_Hz=spinning_Hz,
    )
    if sequence.nucleus != nmr.nucleus:
        return np.zeros((sequence.rows, receiver.t2_s.size), complex)
    starts_s = sequence.row_starts_s()
    recycle_s = sequence.recycle_s + sequence.acquisition_s + _OVERHEAD_s
    pieces = []
    for first, last, T_K in _isothermal(starts_s, temperature_K, 2 if sequence.experiment == "exsy" else 1):
        match sequence.experiment:
            case "one_pulse":
                fid = nmr.one_pulse(T_K=T_K, receiver=receiver, pulse_s=sequence.pulse_s, recycle_s=recycle_s)
                pieces.append(np.broadcast_to(fid, (last - first, fid.size)))
            case "nutation":
                pulses_s = np.array(sequence.pulses_s[first:last])
                pieces.append(
                    nmr.nutation(T_K=T_K, receiver=receiver, pulses_s=pulses_s, recovery_s=sequence.recycle_s)
                )
            case "saturation_recovery":
                delays_s = np.array(sequence.delays_s[first:last])
                pieces.append(
                    nmr.saturation_recovery(T_K=T_K, receiver=receiver, pulse_s=sequence.pulse_s, delays_s=delays_s)
                )
            case "exsy":  # a saturation comb ends what the receiver's time gave, and recovery begins anew
                recovery_s = sequence.recycle_s if sequence.comb_s > 0.0 else recycle_s
                pieces.append(_exsy(sequence, nmr, receiver, T_K, first, last, recovery_s))
    return np.concatenate(pieces)


def _exsy(
    sequence: Sequence, nmr: NmrSample, receiver: Any, T_K: float, first: int, last: int, recycle_s: float
) -> ComplexArray:
    paired = sequence.encoding != 1
    k = np.arange(first // 2, -(-last // 2)) if paired else np.arange(first, last)
    cosine, sine = nmr.exsy(
        T_K=T_K,
        receiver=receiver,
        pulse_s=sequence.pulse_s,
        recycle_s=recycle_s,
        mixing_s=sequence.mixing_s,
        t1_s=sequence.t1_s()[k],
        elapsed_s=sequence.row_starts_s()[k * (2 if paired else 1)],
    )
    if not paired:
        return cosine
    if sequence.encoding == ECHO_ANTIECHO:
        cosine, sine = cosine + 1j * sine, cosine - 1j * sine
    rows: ComplexArray = np.empty((2 * k.size, cosine.shape[1]), complex)
    sign = (1.0 - 2.0 * (k % 2))[:, None] if sequence.encoding == STATES_TPPI else 1.0
    np.multiply(cosine, sign, out=rows[0::2])
    np.multiply(sine, sign, out=rows[1::2])
    return rows[: last - first]


def _isothermal(
    starts_s: FloatArray, temperature_K: Callable[[float], float], group: int
) -> list[tuple[int, int, float]]:
    """Cut rows into runs within half a kelvin, each with its mean temperature; runs begin at whole groups."""
    rows = starts_s.size - 1
    middle_K = [temperature_K(float(starts_s[row] + starts_s[row + 1]) / 2) for row in range(rows)]
    runs, first = [], 0
    for row in range(1, rows + 1):
        if row == rows or (row % group == 0 and abs(middle_K[row] - middle_K[first]) > 0.5):
            runs.append((first, row, float(np.mean(middle_K[first:row]))))
            first = row
    return runs


def counts(
    sequence: Sequence,
    fids: ComplexArray,
    *,
    noise: float,
    scans: int,
    per_unit: float,
    key: str,
) -> tuple[ComplexArray, bool]:
    """Return summed receiver counts of each row, shape (rows, TD/2), and whether the receiver overflowed.

    The digital filter's build-up is `group_delay` points of noise before the signal. Noise depends on `key` and the
    row alone, so that a halted acquisition holds the first rows of the whole one.
    """
    rows = fids.shape[0]
    gain = per_unit * sequence.receiver_gain / 101.0
    overflow = bool(fids.size and np.abs(fids).max() * sequence.receiver_gain / 101.0 > _FULL_SCALE)
    seed = np.frombuffer(hashlib.blake2b(key.encode("utf-8"), digest_size=16).digest(), np.uint32)
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed.tolist())))
    half = sequence.points // 2
    data = random.standard_normal((rows, sequence.points)).view(complex)
    data *= gain * noise * math.sqrt(scans)
    data[:, sequence.group_delay : half] += (gain * scans) * fids
    return data, overflow
