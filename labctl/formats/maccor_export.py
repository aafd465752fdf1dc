"""Maccor text exports, whatever their dialect, as proven columns with Battery Data Format names.

The format's dialects, and which of their claims cannot be trusted, are known from exports of eight laboratories: a
header may name no unit, call millivolts volts, give currents signed or as magnitudes, and restart its capacity column
at every step or only when the current turns. `read_maccor` takes nothing of that on trust (`maccor_proof`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from labctl.formats.battery_data import battery_frame
from labctl.formats.impedance_text import refuse
from labctl.formats.maccor_clock import Clock, clock_jumps, read_clock
from labctl.formats.maccor_columns import ColumnName, Quantity
from labctl.formats.maccor_head import HEAD_BYTES, ExportHead, check_columns, maccor_head
from labctl.formats.maccor_model import MaccorExport, Proofs, StepRun
from labctl.formats.maccor_proof import (
    TIME_UNITS,
    TimeUnit,
    Witness,
    check_answer,
    directions,
    masks,
    prove_time,
    prove_voltage,
)
from labctl.formats.maccor_runs import (
    SECONDS_PER_HOUR,
    FloatArray,
    IntArray,
    Runs,
    cut_runs,
    integrate,
    with_tails,
)
from labctl.formats.maccor_steps import Counted, step_runs_of
from labctl.formats.maccor_table import LARGEST_BYTES, Rows, read_rows


def read_maccor_file(path: Path, *, time_zone: str | None = None, month_first: bool | None = None) -> MaccorExport:
    """Return one export, proven.

    Parameters
    ----------
    time_zone : str, optional
        Of the tester's PC (``Europe/Amsterdam``): with it there is a column of Unix times.
    month_first : bool, optional
        Order of day and month, where the file allows both.

    Raises
    ------
    InputError
        The file cannot be read, is no Maccor export, contradicts itself, or leaves open what cannot be proven;
        with file and line.
    """
    return read_maccor_pieces([path], time_zone=time_zone, month_first=month_first)


def read_maccor_pieces(
    pieces: Sequence[Path], *, time_zone: str | None = None, month_first: bool | None = None
) -> MaccorExport:
    """Return one export that came in pieces, cut between rows: only the first has a head. Lines count through.

    Raises
    ------
    InputError
        As `read_maccor_file`, in the name of the first piece.
    """
    path = pieces[0]
    try:
        if sum(one.stat().st_size for one in pieces) > LARGEST_BYTES:
            raise refuse(path, 0, f"larger than {LARGEST_BYTES // 10**9} GB", expected="an export in several files")
        raw = b"".join([one.read_bytes() for one in pieces]) if len(pieces) > 1 else path.read_bytes()
    except OSError as problem:
        raise refuse(path, 0, f"cannot be read ({problem.strerror or problem})") from None
    head = maccor_head(raw[:HEAD_BYTES])
    if head is None:
        raise refuse(
            path, 1, "no header of a Maccor export",
            expected="a row of column names: Rec# Cyc# Step TestTime ... Amps Volts State ES DPt Time",
        )  # fmt: skip
    check_columns(path, head)
    rows = read_rows(path, raw, head)
    del raw
    return _Reading(path, head, rows, month_first).export(time_zone)


class _Reading:
    """One pass over one file's rows: proofs first, then columns."""

    def __init__(self, path: Path, head: ExportHead, rows: Rows, month_first: bool | None) -> None:
        self.path, self.head, self.rows = path, head, rows
        self.warnings = list(rows.warnings)
        frame = rows.frame
        self.letters = frame["state"].fill_null("").str.strip_chars() if "state" in frame.columns else None
        self.size = frame.height
        self.test_time = self._array("test_time")
        self.step_time = self._array("step_time") if "step_time" in frame.columns else None
        self.current = self._array("current")
        self.voltage = self._array("voltage")
        self.capacity = self._array("capacity") if "capacity" in frame.columns else None
        self.energy = self._array("energy") if "energy" in frame.columns else None
        self.step: IntArray = frame["step"].to_numpy().astype(np.int64)
        self.end_code: IntArray | None = frame["end_code"].to_numpy() if "end_code" in frame.columns else None
        self.passive, self.impedance = masks(self.letters, self.size)
        self.clock = self._clock(month_first)

    def _array(self, name: str) -> FloatArray:
        return np.ascontiguousarray(self.rows.frame[name].to_numpy(), dtype=np.float64)

    def _named(self, quantity: Quantity) -> ColumnName:
        return next(one for one in self.head.columns if one.quantity == quantity)

    def _half_unit(self, name: str) -> float:
        return 0.5 * 10.0 ** -self.rows.decimals.get(name, 17)

    def _clock(self, month_first: bool | None) -> Clock | None:
        if "clock" not in self.rows.frame.columns:
            return None
        clock = read_clock(
            self.rows.frame["clock"], head=self.head.values, test_time=self.test_time, month_first=month_first
        )
        self.warnings += clock.warnings if clock is not None else ("the clock column cannot be read as times",)
        return clock

    def export(self, time_zone: str | None) -> MaccorExport:
        path, head, first_line = self.path, self.head, self.rows.first_line
        self._check_order()
        direction, signed = directions(path, first_line, self.current, self.step, self.letters)
        state = self._state_codes(direction)
        runs = cut_runs(self.step, state, direction, self.step_time)
        present = [one for one in _COUNTED if one in self.rows.frame.columns]
        units: dict[str, float | None] = {one: self._named(one).factor for one in present}
        assumed = tuple(
            f"{self._named(one).text!r} taken to be in {_PLAIN[one]}" for one in present if units[one] is None
        )
        per_A = units["current"] or 1.0
        size_A = np.abs(self.current) * per_A
        time = self._time_unit(runs, per_A, units.get("capacity") or 1.0)
        time_s = self.test_time * time.factor
        reach = np.concatenate([[0.0], 1.1 * size_A[:-1] * np.diff(time_s) / SECONDS_PER_HOUR])
        capacity_Ah = None if self.capacity is None else self.capacity * (units.get("capacity") or 1.0)
        energy_Wh = None if self.energy is None else self.energy * (units.get("energy") or 1.0)
        if capacity_Ah is not None:
            rounding_Ah = self._half_unit("capacity") * (units.get("capacity") or 1.0)
            runs = with_tails(runs, self.step, capacity_Ah, self.passive, reach + 4 * rounding_Ah)
        signed_A = np.where(direction != 0, direction * size_A, self.current * per_A)
        per_V, energy = self._voltage_unit(runs, size_A, time_s, units, bool(assumed))
        voltage_V = self.voltage * per_V
        answers = check_answer(
            path, first_line, current=signed_A, voltage=voltage_V, time_s=time_s,
            lettered=self.letters is not None, runs=runs,
        )  # fmt: skip
        counted = Counted(
            time_s=time_s,
            step_begun_s=None if self.step_time is None else self.step_time * self._step_factor(time.factor),
            size_A=size_A,
            voltage_V=voltage_V,
            capacity_Ah=capacity_Ah,
            energy_Wh=energy_Wh if energy and energy.agrees else None,
            rounding_Ah=self._half_unit("capacity") * (units.get("capacity") or 1.0),
            rounding_Wh=self._half_unit("energy") * (units.get("energy") or 1.0),
        )
        step_runs, cumulative, said = step_runs_of(
            path, first_line, runs, time.restarts, counted, step=self.step, letters=self.letters,
            end_code=self.end_code, capacity_factor=units.get("capacity") or 1.0,
        )  # fmt: skip
        self.warnings += said
        self._remark(time, assumed, per_V, units["voltage"], energy, time_s)
        frame = battery_frame(
            self.rows.frame,
            time_s=time_s,
            step_time_s=None if self.step_time is None else self.step_time * self._step_factor(time.factor),
            current_A=signed_A,
            voltage_V=voltage_V,
            runs=runs,
            cumulative=cumulative,
            clock=self.clock,
            time_zone=time_zone,
        )
        frame, impedance, step_runs = self._apart(frame, step_runs)
        return MaccorExport(
            paths=(path,),
            head=head,
            frame=frame,
            impedance=impedance,
            runs=tuple(step_runs),
            proofs=Proofs(
                time_unit=TIME_UNITS[time.factor],
                time_proof=time.proof,
                capacity_ratio=time.capacity.ratio if time.capacity else None,
                energy_ratio=energy.ratio if energy else None,
                current={True: "signed", False: "magnitude", None: "not told apart"}[signed],
                answers=answers,
                restarts=time.restarts.rule if time.restarts else "no capacity column",
                voltage_factor=per_V,
                assumed=assumed,
            ),
            has_end_codes=self.end_code is not None,
            month_first=self.clock.month_first if self.clock else None,
            warnings=tuple(self.warnings),
        )

    def _check_order(self) -> None:
        back = np.flatnonzero(np.diff(self.test_time) < -2 * self._half_unit("test_time") - 1e-9)
        if back.size:
            at = int(back[0]) + 1
            raise refuse(
                self.path, self.rows.first_line + at, "the test time goes back",
                value=f"{self.test_time[at]:g} after {self.test_time[at - 1]:g}",
                expected="one test in one file, in order; give the files of a continued test one by one",
            )  # fmt: skip

    def _state_codes(self, direction: IntArray) -> IntArray:
        if self.letters is None:
            return direction
        return self.letters.cast(pl.Categorical).to_physical().to_numpy().astype(np.int64)

    def _stated(self, quantity: Quantity) -> float | None:
        return 1.0 if quantity in self.rows.durations else self._named(quantity).factor

    def _step_factor(self, factor: float) -> float:
        stated = self._stated("step_time") if self.step_time is not None else None
        return factor if stated is None else stated

    def _time_unit(self, runs: Runs, per_A: float, per_Ah: float) -> TimeUnit:
        stated = self._stated("test_time")
        return prove_time(
            self.path,
            self.head.header_line,
            stated=stated,
            test_time=self.test_time,
            step_time=self.step_time if stated is None or self.step_time is None
            else self.step_time * (self._step_factor(stated) / stated),
            size=np.abs(self.current),
            column=self.capacity,
            column_factor=per_Ah,
            current_factor=per_A,
            runs=runs,
            clock=self.clock,
            ticking=~self.impedance,
            roundings=(self._half_unit("capacity"), self._half_unit("test_time")),
        )  # fmt: skip

    def _voltage_unit(
        self, runs: Runs, size_A: FloatArray, time_s: FloatArray, units: dict[str, float | None], assumed: bool
    ) -> tuple[float, Witness | None]:
        power = size_A * np.abs(self.voltage)
        return prove_voltage(
            self.path, self.head.header_line, stated=units["voltage"], column=self.energy,
            energy_factor=units.get("energy") or 1.0, area=integrate(power, time_s, runs.first, runs.core_last),
            per=1 / SECONDS_PER_HOUR, runs=runs, rate=power,
            roundings=(self._half_unit("energy"), self._half_unit("test_time")), assumed=assumed,
        )  # fmt: skip

    def _remark(
        self,
        time: TimeUnit,
        assumed: tuple[str, ...],
        per_V: float,
        stated_V: float | None,
        energy: Witness | None,
        time_s: FloatArray,
    ) -> None:
        say, line = self.warnings.append, self.rows.first_line
        if assumed:
            say("the header names no units: " + ", ".join(assumed) + "; only their ratios are proven")
        if not time.proof:
            say(
                f"the unit of time ({TIME_UNITS[time.factor]}) is the header's word: neither charge nor clock proves it"
            )
        if stated_V is not None and per_V != stated_V:
            say(f"the voltage column holds {per_V:g} V, whatever its header says: the energy column proves it")
        if energy is not None and energy.tells and not energy.agrees:
            say("the energy column is not the integral of voltage and current: energies are integrated instead")
        if energy is None or not energy.tells:
            biggest = float(np.abs(self.voltage).max())
            if biggest * per_V > 100.0:
                say(f"voltages up to {biggest:g}, which nothing proves to be volts")
        if self.clock is not None:
            for row, leap in clock_jumps(self.clock, time_s)[:20]:
                if self.impedance[row] or self.impedance[row - 1]:
                    continue
                what = "the clock was set back (summer time ended?)" if -3700 < leap < -3500 else (
                    "the clock was set forward (summer time began?), or the test paused for an hour"
                    if 3500 < leap < 3700 else ("the test paused" if leap > 0 else "the clock was set back")
                )  # fmt: skip
                say(f"line {line + row}: {what}: {leap:+.0f} s of clock against the test time")
        record = self.rows.frame["record"].to_numpy() if "record" in self.rows.frame.columns else None
        if record is not None:
            cycling = np.flatnonzero(~self.impedance)
            kept = record[cycling]
            repeated = np.flatnonzero(np.diff(kept) == 0) if kept.dtype.kind in "iu" else np.array([], dtype=int)
            if repeated.size:
                at = int(cycling[repeated[0] + 1])
                say(f"line {line + at}: record {kept[repeated[0]]} is there again ({repeated.size} repeated records)")
        if self.impedance.any():
            say(f"{int(self.impedance.sum())} rows of impedance (FRA) are kept apart")

    def _apart(self, frame: pl.DataFrame, runs: list[StepRun]) -> tuple[pl.DataFrame, pl.DataFrame, list[StepRun]]:
        """Move impedance rows out, and renumber the rows of runs."""
        if not self.impedance.any():
            return frame, frame.clear(), runs
        keep = ~self.impedance
        shift = np.cumsum(self.impedance)
        moved = [
            replace(one, first=one.first - int(shift[one.first]), last=one.last - int(shift[one.last]))
            for one in runs
            if keep[one.first]
        ]
        mask = pl.Series(keep)
        return frame.filter(mask), frame.filter(~mask), moved


_COUNTED: tuple[Quantity, ...] = ("current", "voltage", "capacity", "energy")
_PLAIN: dict[Quantity, str] = {"current": "A", "voltage": "V", "capacity": "Ah", "energy": "Wh"}
