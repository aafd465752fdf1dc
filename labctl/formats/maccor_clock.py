"""The wall-clock column of an export: which date order it has, and what it says of the test's time axis.

The clock is the tester PC's local time without a zone. It loses its time part at exactly midnight, or has no date at
all; it jumps at pauses and at the change to and from summer time. So it never is the time axis, but it can prove the
unit of one, and it dates the test.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from labctl.formats.maccor_head import dates_of

FloatArray = NDArray[np.float64]

_MONTH_FIRST = "%m/%d/%Y"
_DAY_FIRST = "%d/%m/%Y"
_NAMED = ("%d-%b-%y", "%d-%b-%Y")
_TIME_ONLY = re.compile(r"\d{1,2}:\d{2}:\d{2}(?:\s*[AP]M)?", re.IGNORECASE)
JUMP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Local times of rows.

    Attributes
    ----------
    seconds : ndarray, shape (N,)
        Since 1970 as if the local time were UTC; nan where a cell holds none. Differences hold either way.
    dated : bool
        Whether the date is known beyond doubt; otherwise only differences within a day mean anything.
    """

    seconds: FloatArray
    dated: bool
    month_first: bool | None = None
    warnings: tuple[str, ...] = ()


def read_clock(
    cells: pl.Series, *, head: Mapping[str, str], test_time: FloatArray, month_first: bool | None = None
) -> Clock | None:
    """Return the clock of all rows, or None where the column holds no times.

    Parameters
    ----------
    cells : Series of str, shape (N,)
    head : mapping
        What the head says: its dates may settle the order of day and month, and date a clock without dates.
    test_time : ndarray, shape (N,)
        In the file's own unit; only its order of growth is used.
    month_first : bool, optional
        The order where neither rows nor head settle it.
    """
    by_head = order_by_head(head)
    month_first = month_first if by_head is None else by_head
    text = cells.str.strip_chars()
    known = text.drop_nulls().filter(text.drop_nulls() != "")
    if known.is_empty():
        return None
    first = str(known[0])
    if _TIME_ONLY.fullmatch(first):
        return _without_dates(text, head.get("started", ""), month_first)
    half_day = bool(known.head(50).str.contains(r"(?i)[AP]M").any())
    time_form = "%I:%M:%S %p" if half_day else "%H:%M:%S"
    forms: tuple[str, ...] = _NAMED if re.match(r"\d{1,2}-[A-Za-z]{3}", first) else (_MONTH_FIRST, _DAY_FIRST)
    if "." in first.split(" ", maxsplit=1)[0]:
        text, forms = text.str.replace_all(".", "/", literal=True), (_DAY_FIRST,)
    if len(forms) > 1 and forms != _NAMED:
        forms = _possible(text) or forms
    read = [(form, _parse(text, form, time_form)) for form in forms]
    whole = [(form, one) for form, one in read if one.null_count() == text.null_count()]
    if not whole:
        best = min(read, key=lambda one: one[1].null_count())
        if best[1].null_count() > 0.05 * len(text):
            return None
        whole = [best]
    chosen, dated = whole[0], True
    order: bool | None = None if forms == _NAMED else chosen[0] == _MONTH_FIRST
    if len(whole) > 1 and forms != _NAMED:
        likely = [one for one in whole if _follows(_numbers(one[1]), test_time)] or whole
        chosen = likely[0]
        order = chosen[0] == _MONTH_FIRST
        if len(likely) > 1 and not bool((likely[0][1] == likely[1][1]).all()):
            if month_first is None and half_day:
                month_first = True  # only the United States write 12-hour times in these programs
            order, dated = month_first, month_first is not None
            chosen = likely[0] if month_first is not False else likely[1]
    warnings = () if dated else (f"the date {first!r} may be month/day or day/month: clock times are relative only",)
    return Clock(seconds=_numbers(chosen[1]), dated=dated, month_first=order, warnings=warnings)


def _possible(text: pl.Series) -> tuple[str, ...]:
    """Date orders that every date of the column allows."""
    parts = text.str.head(10).unique().str.extract_groups(r"^(\d{1,2})/(\d{1,2})/")
    first, second = (parts.struct.field(name).cast(pl.Int64).max() for name in ("1", "2"))
    if not isinstance(first, int) or not isinstance(second, int):
        return ()
    return tuple(form for form, month in ((_MONTH_FIRST, first), (_DAY_FIRST, second)) if month <= 12)


def _parse(text: pl.Series, date_form: str, time_form: str) -> pl.Series:
    """Parse date and time; a cell of exactly midnight may be a bare date."""
    read = text.str.to_datetime(f"{date_form} {time_form}", strict=False, time_unit="ms")
    if read.null_count() > text.null_count():
        bare = text.str.to_datetime(date_form, strict=False, exact=True, time_unit="ms")
        read = pl.select(pl.coalesce(read, bare)).to_series()
    return read


def _numbers(read: pl.Series) -> FloatArray:
    return read.cast(pl.Int64).cast(pl.Float64).fill_null(float("nan")).to_numpy() / 1000.0


def _follows(seconds: FloatArray, test_time: FloatArray) -> bool:
    """Whether the clock advances about as the test time, in any unit: a wrong order leaps by months."""
    steps = np.diff(seconds[np.isfinite(seconds)])
    span = float(np.ptp(test_time)) * 3600.0 + 40 * 86400.0
    return not steps.size or (float(steps.min()) > -3 * 3600.0 and float(np.abs(steps).sum()) < 4.0 * span)


def order_by_head(values: Mapping[str, str]) -> bool | None:
    """Return whether the head writes the month first, or None where every date of it allows both orders."""
    for key in ("started", "exported"):
        month_first, day_first = dates_of(values.get(key, ""))
        if (month_first is None) != (day_first is None):
            return month_first is not None
    return None


def _without_dates(text: pl.Series, started: str, month_first: bool | None) -> Clock | None:
    half_day = bool(text.head(50).str.contains(r"(?i)[AP]M").any())
    form = "%I:%M:%S %p" if half_day else "%H:%M:%S"
    read = ("2000-01-01 " + text).str.to_datetime(f"%Y-%m-%d {form}", strict=False, time_unit="ms")
    if read.null_count() > 0.05 * len(text):
        return None
    seconds = _numbers(read)
    seconds = seconds - float(np.floor(np.nanmin(seconds[:1]) / 86400.0) * 86400.0)
    seconds = seconds + 86400.0 * np.concatenate([[0.0], np.cumsum(np.diff(seconds) < -43200.0)])
    orders = dates_of(started)
    dates = {one for one in orders if one is not None}
    if len(dates) > 1 and month_first is not None:
        dates = {one for one in (orders[0 if month_first else 1],) if one is not None}
    if len(dates) != 1:
        return Clock(
            seconds=seconds, dated=False, warnings=("the clock column has no dates: clock times are relative only",)
        )
    origin = dt.datetime.combine(dates.pop(), dt.time(), dt.UTC).timestamp()
    said = "the clock column has no dates: the first is taken from the head"
    return Clock(seconds=seconds + origin, dated=True, month_first=month_first, warnings=(said,))


def unit_by_clock(clock_s: FloatArray, test_time: FloatArray, factor: float) -> float | None:
    """Return elapsed clock time over elapsed test time in a supposed unit, jumps left out; None where it tells nothing.

    A ratio of 1 proves the unit [s per unit of `test_time`] if enough time went by against the clock's seconds.
    """
    elapsed, ticked = np.diff(test_time) * factor, np.diff(clock_s)
    steady = np.isfinite(ticked) & (np.abs(ticked - elapsed) <= np.maximum(2.0, 0.2 * elapsed))
    if steady.size == 0 or steady.mean() < 0.8 or float(elapsed[steady].sum()) < 5.0:
        return None
    return float(ticked[steady].sum() / elapsed[steady].sum())


def clock_jumps(clock: Clock, test_time_s: FloatArray) -> list[tuple[int, float]]:
    """Return rows before which the clock leapt against the test time, with the leap [s]."""
    leap = np.diff(clock.seconds) - np.diff(test_time_s)
    return [(int(at) + 1, float(leap[at])) for at in np.flatnonzero(np.abs(leap) > JUMP_S)]
