"""Columns of cycling data with the names of the Battery Data Format, and their files (Parquet or CSV).

Battery Data Alliance, *Battery Data Format*: name and unit in one header cell, charge positive, capacities and
energies accumulated from the begin of the test. Columns of ours beside them start with ``Maccor`` or ``Clock``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from labctl.errors import InputError
from labctl.formats.maccor_clock import Clock
from labctl.formats.maccor_runs import FloatArray, Runs

TIME, CURRENT, VOLTAGE = "Test Time / s", "Current / A", "Voltage / V"
STEP_TIME, STEP, STEP_COUNT, CYCLE = "Step Time / s", "Step Index / 1", "Step Count / 1", "Cycle Count / 1"
UNIX = "Unix Time / s"
STEP_CAPACITY, STEP_ENERGY = "Step Capacity / Ah", "Step Energy / Wh"
CHARGED, DISCHARGED, NET = "Charging Capacity / Ah", "Discharging Capacity / Ah", "Net Capacity / Ah"
CHARGED_WH, DISCHARGED_WH = "Charging Energy / Wh", "Discharging Energy / Wh"
CLOCK = "Clock Time / local"
STATE, END_CODE, RECORD = "Maccor State", "Maccor End Code / 1", "Maccor Record / 1"

_VENDOR = {
    "record": RECORD,
    "cycle": "Maccor Cycle / 1",
    "cycle_p": "Maccor Cycle P / 1",
    "cycle_c": "Maccor Cycle C / 1",
    "state": STATE,
    "end_code": END_CODE,
    "range": "Maccor Range",
    "ac_resistance": "Maccor AC Resistance / ohm",
    "dc_resistance": "Maccor DC Resistance / ohm",
}
UNCONNECTED_BELOW_degC = -273.15


def battery_frame(
    rows: pl.DataFrame,
    *,
    time_s: FloatArray,
    step_time_s: FloatArray | None,
    current_A: FloatArray,
    voltage_V: FloatArray,
    runs: Runs,
    cumulative: tuple[FloatArray, FloatArray],
    clock: Clock | None,
    time_zone: str | None,
) -> pl.DataFrame:
    """Return the columns of a test.

    Parameters
    ----------
    rows : DataFrame
        As read; counters, states and temperatures are taken from it.
    cumulative : tuple of ndarray, shape (N,)
        Charge [Ah] and energy [Wh] of each row since its run began.
    time_zone : str or None
        Of the clock; None: no Unix times.

    Raises
    ------
    InputError
        The time zone is not known.
    """
    lengths = np.diff(np.concatenate([runs.first, [time_s.size]]))
    flowed_Ah, flowed_Wh = cumulative
    columns: dict[str, object] = {TIME: time_s, CURRENT: current_A, VOLTAGE: voltage_V}
    if step_time_s is not None:
        columns[STEP_TIME] = step_time_s
    columns[STEP] = rows["step"]
    columns[STEP_COUNT] = np.repeat(np.arange(1, runs.first.size + 1), lengths)
    columns[CYCLE] = np.repeat(_cycles(runs), lengths)
    columns[STEP_CAPACITY], columns[STEP_ENERGY] = flowed_Ah, flowed_Wh
    for sign, Ah, Wh in ((1, CHARGED, CHARGED_WH), (-1, DISCHARGED, DISCHARGED_WH)):
        columns[Ah] = _accumulated(runs, lengths, flowed_Ah, sign)
        columns[Wh] = _accumulated(runs, lengths, flowed_Wh, sign)
    columns[NET] = np.asarray(columns[CHARGED]) - np.asarray(columns[DISCHARGED])
    for name, ours in _VENDOR.items():
        if name in rows.columns:
            columns[ours] = rows[name]
    number = 0
    for name in rows.columns:
        quantity, _, rest = name.partition(":")
        if quantity == "loop":
            columns[f"Maccor {rest.partition(':')[2]} / 1"] = rows[name]
        elif quantity == "temperature":
            number += 1
            columns[f"Temperature T{number} / degC"] = _temperatures(rows[name])
    frame = pl.DataFrame(columns)
    if clock is not None:
        frame = _with_clock(frame, clock, time_zone)
    return frame


def _cycles(runs: Runs) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Cycle of each run, from 1: a new one begins with each charge that follows a discharge."""
    cycle, last = 1, 0
    out = np.empty(runs.first.size, dtype=np.int64)
    for run, direction in enumerate(runs.direction.tolist()):
        if direction:
            cycle += direction == 1 and last == -1
            last = direction
        out[run] = cycle
    return out


def _accumulated(
    runs: Runs, lengths: np.ndarray[tuple[int], np.dtype[np.int64]], flowed: FloatArray, sign: int
) -> FloatArray:
    mine = runs.direction == sign
    whole = np.where(mine, flowed[runs.last], 0.0)
    before = np.concatenate([[0.0], np.cumsum(whole)[:-1]])
    total = np.repeat(before, lengths) + np.where(np.repeat(mine, lengths), flowed, 0.0)
    return np.asarray(np.maximum.accumulate(total))


def _temperatures(cells: pl.Series) -> pl.Series:
    """Numbers; an input without thermocouple reads below absolute zero and counts as missing."""
    values = cells.str.strip_chars().str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return pl.select(pl.when(values > UNCONNECTED_BELOW_degC).then(values)).to_series()


def _with_clock(frame: pl.DataFrame, clock: Clock, time_zone: str | None) -> pl.DataFrame:
    if not clock.dated:
        return frame
    local = pl.Series(CLOCK, clock.seconds * 1000.0).fill_nan(None).cast(pl.Int64).cast(pl.Datetime("ms"))
    frame = frame.with_columns(local)
    if time_zone is None:
        return frame
    try:
        zoned = local.dt.replace_time_zone(time_zone, ambiguous="null", non_existent="null")
    except pl.exceptions.PolarsError:
        raise InputError(f"time zone {time_zone!r} is not known", expected="a name such as Europe/Amsterdam") from None
    return frame.with_columns((zoned.dt.epoch("ms") / 1000.0).alias(UNIX))


def write_battery_data(frame: pl.DataFrame, path: Path) -> Path:
    """Write columns as Parquet or CSV, by the suffix, and return the path.

    Raises
    ------
    InputError
        Another suffix, or a folder that cannot be written to; an existing file is never replaced.
    """
    if path.exists():
        raise InputError(f"{path} exists", expected="a new name: data are never overwritten")
    try:
        match path.suffix.lower():
            case ".parquet":
                frame.write_parquet(path)
            case ".csv":
                frame.write_csv(path)
            case other:
                raise InputError(f"{path}: suffix {other!r}", expected=".parquet or .csv")
    except OSError as problem:
        raise InputError(f"{path} cannot be written ({problem.strerror or problem})") from None
    return path
