"""Text exports: five dialects of real installations that tell the same story."""

from __future__ import annotations

import itertools
import math
from datetime import datetime
from pathlib import Path

import pytest

from labctl_sim_maccor._export import DIALECTS, Head, lines
from labctl_sim_maccor._records import Record
from tests.simulators.maccor.bench import Bench, cycling

CURRENT = {"single_line": "Amps", "two_lines": "mAmps", "three_lines": "Amps", "mims": "Current [A]", "csv": "Current"}


def _duration_s(text: str) -> float:
    days, _, clock = text.strip().partition("d ")
    hours, minutes, seconds = clock.split(":")
    return 86400.0 * int(days) + 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)


def _table(dialect: str, text: str, decimal: str = ".") -> list[dict[str, float | str]]:
    """Return number, step, seconds, Ah, Wh, A (magnitude) and V of each row, read by what is known of the dialect."""
    apart = "," if dialect == "csv" else "\t"
    rows = [line.split(apart) for line in text.split("\r\n")]
    at = next(index for index, row in enumerate(rows) if row[0] in {"Rec#", "Rec"})
    names = rows[at]
    scale = 1e-3 if dialect == "two_lines" else 1.0
    times = {"single_line": "Test (Sec)", "csv": "Test Time (sec)"}.get(dialect, "TestTime")
    amounts = {
        "Ah": ("Amp-hr", "mAmp-hr", "Cap. [Ah]", "Capacity"),
        "Wh": ("Watt-hr", "mWatt-hr", "Ener. [Wh]", "Energy"),
        "A": (CURRENT[dialect],),
        "V": ("Volts", "Voltage [V]", "Voltage"),
    }
    found = []
    for row in rows[at + 1 :]:
        if len(row) < 5:
            continue
        cells = dict(zip(names, (cell.replace(decimal, ".") for cell in row), strict=False))
        time = cells[times]
        seconds = _duration_s(time) if "d " in time else float(time) * (60.0 if dialect == "mims" else 1.0)
        values: dict[str, float | str] = {"step": cells["Step"], "s": seconds}
        for key, among in amounts.items():
            name = next(name for name in among if name in cells)
            values[key] = scale * abs(float(cells[name]))
        found.append(values)
    return found


def test_all_dialects_tell_the_same(tmp_path: Path) -> None:
    """Time, charge, energy, current and voltage agree to the digits each dialect writes."""
    bench = Bench(tmp_path)
    bench.put("FIXED", cycling(1))
    bench.start("cell", "FIXED", Mass=0.012, Crate=1.4612e-3)
    bench.live_until_over()
    tables = {name: _table(name, bench.simulator.tester.export(0, name).decode("cp1252")) for name in DIALECTS}
    records = bench.records("cell")
    assert {len(table) for table in tables.values()} == {len(records)}
    digits = {"s": 0.006, "Ah": 6e-9, "Wh": 6e-9, "A": 6e-9, "V": 6e-5}
    for name, key in itertools.product(tables, digits):
        worst = max(
            abs(float(row[key]) - float(other[key]))
            for row, other in zip(tables[name], tables["single_line"], strict=True)
        )
        assert worst <= digits[key], (name, key)


def test_current_is_signed_or_a_magnitude_as_the_dialect_has_it(tmp_path: Path) -> None:
    """A discharge is negative in two of the tabular dialects and in none of the others."""
    bench = Bench(tmp_path)
    bench.put("FIXED", cycling(1))
    bench.start("cell", "FIXED")
    bench.live_until_over()
    exported = {name: bench.simulator.tester.export(0, name).decode("cp1252") for name in DIALECTS}
    negative = {
        name for name, text in exported.items() if "\t-0.0001" in text or "\t-0.10" in text or ",-0.0001" in text
    }
    assert negative == {"single_line", "two_lines", "csv"}


def test_the_export_grows_with_the_test_and_is_what_one_export_at_its_end_would_be(tmp_path: Path) -> None:
    """Rows are added while the test runs; in the end the file is byte for byte the whole test."""
    bench = Bench(tmp_path, export="mims", mims_decimal=",")
    bench.put("FIXED", cycling(1))
    bench.start("cell", "FIXED")
    bench.live(6 * 3600.0)
    file = bench.link.export_dir / "cell.001.txt"
    early = file.read_bytes()
    bench.live_until_over()
    late = file.read_bytes()
    assert late.startswith(early)
    assert len(late) > len(early) > 1000
    assert late == bench.simulator.tester.export(0, "mims")
    assert _table("mims", late.decode("cp1252"), ",")[-1]["s"] == pytest.approx(
        bench.call(4, 7, Chan=0)["TestTime"], abs=0.1
    )


def test_midnight_lacks_its_time_and_foreign_letters_do_not_stop_an_export() -> None:
    """A record at exactly midnight shows its date alone; what the code page lacks becomes a question mark."""
    midnight = datetime.fromisoformat("2026-03-02T00:00:00+01:00").timestamp()
    head = Head(
        test_name="cell", channel=1, tester="SIM", proc_name="P", description="", comment="Li₂S", started_s=midnight,
        printed_s=midnight, mass_g=1.0, crate_Ah=1.0, most_V=10.0, most_A=5.0, utc_offset_h=1.0,
    )  # fmt: skip
    record = Record(1, 0, 1, 1, 0, 0, 0.0, 0.0, 0.0, 1.0, "R", 0, midnight, (0,) * 4, (0.0,) * 15, 4)
    text = lines("single_line", head, [record], with_head=True).decode("cp1252")
    assert "Li?S" in text
    assert "\t03/02/2026\t" in text
    assert not math.isnan(float(_table("single_line", text)[0]["V"]))
