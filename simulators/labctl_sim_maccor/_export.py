"""Text exports of test data as real installations write them: five dialects, rows added as the test goes on.

What differs between them differs between real files: head, names, units (the ``mims`` time is in minutes and its head
names none; ``two_lines`` has mV under ``Volts``), sign of the current, decimal mark, and the writing of times.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from labctl_sim_maccor._procedure import TICK_s
from labctl_sim_maccor._records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What an export says of its test. `channel` counts from 1."""

    test_name: str
    channel: int
    tester: str
    proc_name: str
    description: str
    comment: str
    started_s: float
    printed_s: float
    mass_g: float
    crate_Ah: float
    most_V: float
    most_A: float
    utc_offset_h: float
    decimal: str = "."

    def local(self, at_s: float) -> datetime:
        """Return the tester's local time."""
        return datetime.fromtimestamp(at_s, timezone(timedelta(hours=self.utc_offset_h)))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of export writes its head and its rows."""

    head: Callable[[Head], list[str]]
    row: Callable[[Head, Record], str]
    suffix: str = ".txt"


_VARIABLES = "\t".join(f"VAR{number}" for number in range(1, 16))


def lines(dialect: str, head: Head, records: list[Record], *, with_head: bool) -> bytes:
    """Return the export of these records, after its head if it begins here; CR LF and Windows' code page."""
    chosen = DIALECTS[dialect]
    text = [*(chosen.head(head) if with_head else []), *(chosen.row(head, record) for record in records)]
    return "".join(f"{line}\r\n" for line in text).encode("cp1252", errors="replace")


def _us(at: datetime) -> str:
    return f"{at.month:02d}/{at.day:02d}/{at.year}"


def _twelve(at: datetime) -> str:
    return f"{at.hour % 12 or 12}:{at.minute:02d}:{at.second:02d} {'AM' if at.hour < 12 else 'PM'}"


def _clock(at: datetime) -> str:
    """Return date and time; at exactly midnight the time is missing, as in real files."""
    if (at.hour, at.minute, at.second) == (0, 0, 0):
        return _us(at)
    return f"{_us(at)} {at.hour:02d}:{at.minute:02d}:{at.second:02d}"


def _split(ticks: int) -> tuple[int, int, int, int, int]:
    seconds, hundredths = divmod(ticks, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return days, hours, minutes, seconds, hundredths


# ------------------------------------------------------------------------------------ single-line head


def _single_head(head: Head) -> list[str]:
    return [
        f"Today's Date {_us(head.local(head.printed_s))}  Date of Test:\t{_us(head.local(head.started_s))}"
        f"\t Filename:\tC:\\Maccor\\Active\\{head.test_name}.{head.channel:03d} Procedure: {head.proc_name}.000"
        f"\tComment/Barcode: {head.comment}",
        "Rec#\tCyc#\tStep\tTest (Sec)\tStep (Sec)\tAmp-hr\tWatt-hr\tAmps\tVolts\tState\tES\tDPt Time\tLoop1\tLoop2"
        f"\tLoop3\tLoop4\tACImp/Ohms\tDCIR/Ohms\tWF Chg Cap\tWF Dis Cap\tWF Chg E\tWF Dis E\tRange\t{_VARIABLES}",
    ]


@functools.lru_cache(maxsize=64)  # the same for most records of a cycle
def _loops(loops: tuple[int, ...]) -> str:
    return "\t".join(str(loop) for loop in loops)


@functools.lru_cache(maxsize=64)
def _values(variables: tuple[float, ...]) -> str:
    return "\t".join(f"{value:.5f}" for value in variables)


def _single_row(head: Head, record: Record) -> str:
    loops, variables = _loops(record.loops), _values(record.variables)
    return (
        f"{record.number}\t{record.cycle}\t{record.step}\t{record.test_ticks * TICK_s:.4f}"
        f"\t{record.step_ticks * TICK_s:.4f}\t{record.capacity_Ah:.10f}\t{record.energy_Wh:.10f}\t{record.amps:.10f}"
        f"\t{record.volts:.8f}\t{record.state}\t{record.why}\t{_clock(head.local(record.wall_s))}\t{loops}"
        f"\t0.00000\t0.00000\tN/A\tN/A\tN/A\tN/A\t{record.range}\t{variables}"
    )


# --------------------------------------------------------------------------------- two lines with blanks


def _two_head(head: Head) -> list[str]:
    printed, started = head.local(head.printed_s), head.local(head.started_s)
    return [
        f"Today''s Date\t{_us(printed)} {_twelve(printed)}",
        "",
        f"Date of Test:\t{_us(started)} {_twelve(started)}",
        "",
        "Rec#\tCyc#\tStep\tTestTime\tStepTime\tmAmp-hr\tmWatt-hr\tmAmps\tVolts\tState\tES\tDPt Time\t",
    ]


def _two_time(ticks: int) -> str:
    days, hours, minutes, seconds, hundredths = _split(ticks)
    return f"{days:>3}d {hours:02d}:{minutes:02d}:{seconds:02d}.{hundredths:02d}"


def _two_row(head: Head, record: Record) -> str:
    at = head.local(record.wall_s)
    thousandths = (record.capacity_Ah, record.energy_Wh, record.amps, record.volts)
    numbers = "\t".join(f"{1e3 * value:.7f}".rstrip("0").rstrip(".") for value in thousandths)
    return (
        f"{record.number}\t{record.cycle}\t{record.step}\t{_two_time(record.test_ticks)}\t{_two_time(record.step_ticks)}"
        f"\t{numbers}\t{record.state}\t{record.why}\t{_us(at)} {_twelve(at)}\t"
    )


# ------------------------------------------------------------------------------------------ three lines


def _three_head(head: Head) -> list[str]:
    printed, started = head.local(head.printed_s), head.local(head.started_s)
    return [
        f"Today's Date:\t{printed.day} {printed:%B} {printed.year}\tDate of Test:\t{started.day} {started:%B}"
        f" {started.year}, {_twelve(started)}",
        f"    Filename:\t{head.test_name}\tTester Channel:\t{head.channel}",
        f"Procedure:\t{head.proc_name}.000\tDescription:{head.description}",
        "Rec#\tCyc#\tStep\tTestTime\tStepTime\tAmp-hr\tWatt-hr\tAmps\tVolts\tState\tES\tDPt Time\tACImp/Ohms"
        f"\tDCIR/Ohms\t{_VARIABLES}",
    ]


def _three_time(ticks: int) -> str:
    days, hours, minutes, seconds, hundredths = _split(ticks)
    fraction = f".{hundredths:02d}".rstrip("0") if hundredths else ""
    return f"{days:>3}d {hours:02d}:{minutes:02d}:{seconds}{fraction}"


def _three_row(head: Head, record: Record) -> str:
    variables = "\t".join(f"{value:.5f}" for value in record.variables)
    return (
        f"{record.number}\t{record.cycle}\t{record.step}\t{_three_time(record.test_ticks)}"
        f"\t{_three_time(record.step_ticks)}\t{record.capacity_Ah:.10f}\t{record.energy_Wh:.10f}"
        f"\t{abs(record.amps):.10f}\t{record.volts:.5f}\t{record.state}\t{record.why}"
        f"\t{_clock(head.local(record.wall_s))}\t0.00000\t0.00000\t{variables}"
    )


# ------------------------------------------------------------------------------------------- MIMS client


def _mims_time(head: Head, at_s: float) -> str:
    at = head.local(at_s)
    if head.decimal == ",":
        return f"{at:%d/%m/%Y %H:%M:%S}"
    return f"{at.month}/{at.day}/{at.year} {_twelve(at)}"


def _mims_head(head: Head) -> list[str]:
    def number(value: float, places: int) -> str:
        return f"{value:.{places}f}".replace(".", head.decimal)

    return [
        f"Name:\t{head.test_name}.{head.channel:03d}",
        f"Channel:\t{head.channel}",
        f"Tester\t{head.tester}",
        f"Procedure\t{head.proc_name}.000",
        f"Description\t{head.comment}",
        f"Started\t{_mims_time(head, head.started_s)}",
        f"SCap\t{number(head.mass_g, 6)}",
        f"C Rate\t{number(head.crate_Ah, 6)}",
        f"Ch. max. V\t{number(head.most_V, 2)} V",
        f"DisCh. min. V\t{number(0.0, 2)} V",
        f"Ch. max. I\t{number(head.most_A, 3)} A",
        f"DisCh. max. I\t{number(head.most_A, 3)} A",
        "",
        "Rec\tCycle P\tCycle C\tStep\tTestTime\tStepTime\tCap. [Ah]\tEner. [Wh]\tCurrent [A]\tVoltage [V]\tMd\tES"
        f"\tDPT Time\t{_VARIABLES}",
        "",
    ]


def _mims_row(head: Head, record: Record) -> str:
    minutes = (record.test_ticks * TICK_s / 60.0, record.step_ticks * TICK_s / 60.0)
    amounts = (record.capacity_Ah, record.energy_Wh, abs(record.amps))
    numbers = [*(f"{value:.6f}" for value in minutes), *(f"{value:.8f}" for value in amounts), f"{record.volts:.4f}"]
    variables = "\t".join(f"{value:.4f}" for value in record.variables).replace(".", head.decimal)
    return (
        f"{record.number}\t{record.cycle}\t{record.half_cycle}\t{record.step}"
        f"\t{'	'.join(numbers).replace('.', head.decimal)}\t{record.state}\t{record.why}"
        f"\t{_mims_time(head, record.wall_s)}\t{variables}\t"
    )


# --------------------------------------------------------------------------------------------------- CSV


def _csv_time(at: datetime) -> str:
    return f"{at:%d-%b-%y} {_twelve(at)}"


def _csv_head(head: Head) -> list[str]:
    return [
        f"Today's Date ,{head.local(head.printed_s):%d-%b-%y}",
        f"Date of Test:,{_csv_time(head.local(head.started_s))}",
        "Rec,Cycle C,Step,Test Time (sec),Step Time (sec),Capacity,Energy,Current,Voltage,DPT Time,Temp 1",
    ]


def _csv_row(head: Head, record: Record) -> str:
    return (
        f"{record.number},{record.half_cycle},{record.step},{record.test_ticks * TICK_s:.4f}"
        f",{record.step_ticks * TICK_s:.4f},{record.capacity_Ah:.10f},{record.energy_Wh:.10f},{record.amps:.10f}"
        f",{record.volts:.6f},{_csv_time(head.local(record.wall_s))},24.0000"
    )


DIALECTS: dict[str, Dialect] = {
    "single_line": Dialect(_single_head, _single_row),
    "two_lines": Dialect(_two_head, _two_row),
    "three_lines": Dialect(_three_head, _three_row),
    "mims": Dialect(_mims_head, _mims_row),
    "csv": Dialect(_csv_head, _csv_row, ".csv"),
}
"""By the names of the setting `export`."""
