"""A fixed-capacity test composed in every dialect that exports of real laboratories have, by no code of labctl."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

START = dt.datetime(2026, 3, 25, 22, 10, 0)  # noqa: DTZ001 - testers write local time
CURRENT_A = 2.0735e-4
SET_Ah = 1.4612e-3


@dataclass(frozen=True)
class Row:
    """One record in SI units; charge, energy and direction since its step began."""

    record: int
    cycle: int
    step: int
    test_s: float
    step_s: float
    step_Ah: float
    step_Wh: float
    current_A: float
    voltage_V: float
    state: str
    end_code: int


def fixed_capacity(
    cycles: int = 2, points: int = 40, ends: Sequence[int] = (), kept: float = 0.98, split: bool = False
) -> list[Row]:
    """Rest, then charges of `SET_Ah` and discharges of `kept` of it; with `split`, charges in two steps."""
    rows: list[Row] = []
    at_s = 0.0

    def run(step: int, state: str, charge_Ah: float, from_V: float, to_V: float, code: int, cycle: int) -> None:
        nonlocal at_s
        current = 0.0 if state == "R" else CURRENT_A
        length_s = 600.0 if state == "R" else charge_Ah / CURRENT_A * 3600.0
        for k in range(points):
            step_s = 0.05 + (length_s - 0.05) * k / (points - 1)
            flowed = current * step_s / 3600.0
            now_V = from_V + (to_V - from_V) * step_s / length_s
            rows.append(
                Row(
                    len(rows) + 1, cycle, step, at_s + step_s, step_s, flowed, flowed * (from_V + now_V) / 2, current,
                    now_V, state, code if k == points - 1 else (0 if k == 0 else 1),
                )
            )  # fmt: skip
        at_s += length_s

    run(1, "R", 0.0, 1.50, 1.50, 129, 0)
    for n in range(cycles):
        code = ends[n] if n < len(ends) else 136
        share = 1.0 if code == 136 else 0.6
        if split:
            run(2, "C", 0.5 * share * SET_Ah, 1.66, 1.68, 129, n)
            run(3, "C", 0.5 * share * SET_Ah, 1.69, 1.74, code, n)
        else:
            run(3, "C", share * SET_Ah, 1.66, 1.74, code, n)
        run(5, "D", kept * share * SET_Ah, 1.48, 0.80, 133, n)
    return rows


@dataclass(frozen=True)
class Variant:
    """How an export writes the same test."""

    name: str
    head: tuple[str, ...] = ("Today's Date:\t1 April 2026\tDate of Test:\t25 March 2026, 10:10:00 PM",)
    header: tuple[str, ...] = (
        "Rec#", "Cyc#", "Step", "TestTime", "StepTime", "Amp-hr", "Watt-hr", "Amps", "Volts", "State", "ES", "DPt Time",
    )  # fmt: skip
    separator: str = "\t"
    decimal: str = "."
    time: str = "duration"
    signed: bool = False
    reset: str = "step"
    milli: bool = False
    milli_volt: bool = False
    clock: str = "%m/%d/%Y %H:%M:%S"
    blank_after_header: bool = False
    trailing: bool = False
    newline: str = "\r\n"
    encoding: str = "latin-1"
    time_unit: str = "s"

    def text(self, rows: Sequence[Row], spoil: Callable[[list[list[str]]], None] | None = None) -> bytes:
        """Write the rows; `spoil` may change the cells first."""
        cells = [self._cells(row, base) for row, base in zip(rows, self._bases(rows), strict=True)]
        if spoil is not None:
            spoil(cells)
        lines = [*self.head, self.separator.join(self.header), *([""] if self.blank_after_header else [])]
        end = self.separator if self.trailing else ""
        lines += [self.separator.join(row) + end for row in cells]
        return (self.newline.join(lines) + self.newline).encode(self.encoding)

    def _bases(self, rows: Sequence[Row]) -> list[tuple[float, float]]:
        """What the counters held when each row's step began."""
        bases, base, last = [], (0.0, 0.0), None
        flowing = ""
        for row in rows:
            if last is not None and (row.step != last.step or row.step_s < last.step_s):
                carried = (base[0] + last.step_Ah, base[1] + last.step_Wh)
                base = carried if self.reset == "turn" and row.state == flowing else (0.0, 0.0)
            flowing = row.state if row.state in "CD" else flowing
            bases.append(base)
            last = row
        return bases

    def _cells(self, row: Row, base: tuple[float, float]) -> list[str]:
        milli = 1000.0 if self.milli else 1.0
        sign = -1.0 if self.signed and row.state == "D" else 1.0
        when = START + dt.timedelta(seconds=int(row.test_s))
        values = {
            "record": str(row.record),
            "cycle": str(row.cycle),
            "step": str(row.step),
            "test": self._time(row.test_s),
            "stept": self._time(row.step_s),
            "Ah": self._number((base[0] + row.step_Ah) * milli, 10),
            "Wh": self._number((base[1] + row.step_Wh) * milli, 10),
            "A": self._number(sign * row.current_A * milli, 9),
            "V": self._number(row.voltage_V * (1000.0 if self.milli_volt else 1.0), 6),
            "state": row.state,
            "ES": str(row.end_code),
            "clock": when.strftime(self.clock),
        }
        return [values[_MEANING[name]] for name in self.header]

    def _number(self, value: float, digits: int) -> str:
        return f"{value:.{digits}f}".replace(".", self.decimal)

    def _time(self, seconds: float) -> str:
        if self.time == "duration":
            days, rest = divmod(seconds, 86400.0)
            hours, rest = divmod(rest, 3600.0)
            minutes, rest = divmod(rest, 60.0)
            return f"  {days:.0f}d {hours:02.0f}:{minutes:02.0f}:{rest:.6f}".replace(".", self.decimal)
        return self._number(seconds / {"s": 1.0, "min": 60.0, "h": 3600.0}[self.time], 6)


_MEANING = {
    "Rec#": "record", "Rec": "record", "Rec(#)": "record", "Cyc#": "cycle", "Cycle P": "cycle", "Cycle C": "cycle",
    "Step": "step", "TestTime": "test", "StepTime": "stept", "Test (Sec)": "test", "Step (Sec)": "stept",
    "Test (Min)": "test", "Step (Min)": "stept", "Test Time (s)": "test", "Step Time (s)": "stept",
    "Test Time (h)": "test", "Step Time (h)": "stept",
    "Amp-hr": "Ah", "Watt-hr": "Wh", "Amps": "A", "Volts": "V", "mAmp-hr": "Ah", "mWatt-hr": "Wh", "mAmps": "A",
    "Cap. [Ah]": "Ah", "Ener. [Wh]": "Wh", "Current [A]": "A", "Voltage [V]": "V", "Capacity (Ah)": "Ah",
    "Energy (Wh)": "Wh", "Current (A)": "A", "Voltage (V)": "V", "State": "state", "Md": "state", "MD": "state",
    "ES": "ES", "DPt Time": "clock", "DPT Time": "clock", "Capacity": "Ah", "Energy": "Wh", "Current": "A",
    "Voltage": "V",
}  # fmt: skip
_ONE = (
    "Today's Date 04/01/2026  Date of Test:\t03/25/2026\t Filename:\tC:\\Data\\cell.007 "
    "Procedure: fix.000\tComment/Barcode: x"
)
_MIMS = (
    "Name:\tcell-07.007", "Channel:\t7", "Tester\tMaccor #4", "Procedure\tfix.000", "Description\tÿÿ\x04", "Started\tx",
    "SCap\t0.017", "C Rate\t0.002", "Ch. max. V\t6.00 V", "DisCh. min. V\t0.00 V", "Ch. max. I\t5.000 A",
    "DisCh. max. I\t5.000 A", "",
)  # fmt: skip
_MIMS_COLUMNS = (
    "Rec", "Cycle P", "Step", "TestTime", "StepTime", "Cap. [Ah]", "Ener. [Wh]", "Current [A]", "Voltage [V]", "Md",
    "ES", "DPT Time",
)  # fmt: skip
_SECONDS = (
    "Rec#", "Cyc#", "Step", "Test (Sec)", "Step (Sec)", "Amp-hr", "Watt-hr", "Amps", "Volts", "State", "ES", "DPt Time",
)  # fmt: skip
_SERVER = (
    "Rec(#)", "Cycle P", "Step", "Test Time (s)", "Step Time (s)", "Capacity (Ah)", "Energy (Wh)", "Current (A)",
    "Voltage (V)", "MD", "ES", "DPT Time",
)  # fmt: skip

_PLAIN = Variant("three lines, magnitudes")
VARIANTS = [
    _PLAIN,
    replace(_PLAIN, name="three lines, signed", signed=True),
    replace(_PLAIN, name="restart on turning", reset="turn"),
    replace(
        _PLAIN, name="milli, millivolts called Volts", milli=True, milli_volt=True, signed=True, reset="turn",
        trailing=True,
        head=("Today''s Date\t03/28/2026 12:50:27 PM", "", "Date of Test:\t03/25/2026 10:10:00 PM", ""),
        header=("Rec#", "Cyc#", "Step", "TestTime", "StepTime", "mAmp-hr", "mWatt-hr", "mAmps", "Volts", "State", "ES",
                "DPt Time"), clock="%m/%d/%Y %I:%M:%S %p",
    ),
    replace(_PLAIN, name="one line, seconds", head=(_ONE,), header=_SECONDS, time="s", signed=True),
    replace(
        _PLAIN, name="one line, minutes", head=(_ONE,), time="min", time_unit="min",
        header=(*_SECONDS[:3], "Test (Min)", "Step (Min)", *_SECONDS[5:]),
    ),
    replace(_PLAIN, name="one line, durations", head=(_ONE,)),
    replace(_PLAIN, name="MIMS, point, no unit", head=_MIMS, header=_MIMS_COLUMNS, time="min", time_unit="min",
            blank_after_header=True, clock="%m/%d/%Y %I:%M:%S %p"),
    replace(_PLAIN, name="MIMS, comma, no unit", head=_MIMS, header=_MIMS_COLUMNS, time="min", time_unit="min",
            blank_after_header=True, decimal=",", clock="%d/%m/%Y %H:%M:%S", newline="\n"),
    replace(_PLAIN, name="MIMS, seconds without unit", head=_MIMS, header=_MIMS_COLUMNS, time="s",
            blank_after_header=True),
    replace(_PLAIN, name="server, seconds", head=_MIMS, header=_SERVER, time="s", signed=True, newline="\n"),
    replace(_PLAIN, name="server, hours", head=_MIMS, time="h", time_unit="h",
            header=(*_SERVER[:3], "Test Time (h)", "Step Time (h)", *_SERVER[5:])),
    replace(_PLAIN, name="comma separated", head=(_ONE.replace("\t", " "),), header=_SECONDS, separator=",", time="s",
            clock="%d-%b-%y %I:%M:%S %p"),
    replace(_PLAIN, name="semicolons and decimal commas", head=(_ONE,), header=_SECONDS, separator=";", decimal=",",
            time="s", clock="%d.%m.%Y %H:%M:%S"),
    replace(_PLAIN, name="UTF-16", encoding="utf-16"),
    replace(_PLAIN, name="no state, signed", head=(_ONE,), time="s", signed=True,
            header=(*_SECONDS[:9], "ES", "DPt Time")),
    replace(_PLAIN, name="clock without dates", clock="%H:%M:%S"),
]  # fmt: skip
