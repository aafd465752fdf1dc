"""Rows of a running 2D count once they are certainly its own, whole, and shown by this console."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import InstrumentError
from labctl.ports import Acquire, Exsy, Order
from labctl_topspin._evidence import DatasetView
from labctl_topspin._live_rows import LiveRows, complete_rows, rows_per_part, snapshot

ROWS, POINTS, STRIDE = 48, 128, 1024
TASK = Acquire(
    experiment=Exsy(mixing_time_s=0.5, rows=ROWS, increment_s=0.8e-3), expno_slot=1030, template="exsy", nucleus="6Li",
    scans=8, dummy_scans=4, recycle_delay_s=4.0, points=POINTS, spectral_width_Hz=2e4, carrier_ppm=0.0, pulse_s=5e-6,
    receiver_gain=None, spinning_Hz=1e4, spinning_tolerance_Hz=50.0, setpoint_K=290.0, sample_K=298.0,
    duration_s=ROWS * 40.0,
)  # fmt: skip
ORDER = Order(token="0123abcd-1", title="t", step_id="nmr/x/T01/tmix02", attempt=1, epoch=1, task=TASK)


def view(folder: Path, rows: int, *, allocated: int = ROWS, **status: Any) -> DatasetView:
    """An EXPNO of which so many rows hold data, in a file of so many."""
    (folder / "pdata" / "1").mkdir(parents=True, exist_ok=True)
    raw = folder / "ser"
    raw.write_bytes(b"\1" * (rows * STRIDE) + bytes((allocated - rows) * STRIDE))
    for name in ("acqus", "acqu", "acqu2"):
        (folder / name).write_text(f"##TITLE= {name}\n", encoding="utf-8")
    acqus = {"D": [0.0] * 8 + [0.5], "NS": 8, "TD": POINTS, "DTYPA": 2, **status}
    return DatasetView(folder=folder, exists=True, raw=raw, acqus=acqus, acqu2s={}, acqu2={"TD": ROWS})


@pytest.mark.parametrize("allocated", [ROWS, 20], ids=["allocated at once", "growing"])
def test_rows_are_counted_by_what_they_hold(tmp_path: Path, allocated: int) -> None:
    """Zeros behind them, or the end of the file, end the count."""
    assert complete_rows(view(tmp_path, 20, allocated=allocated), TASK) == 20


@pytest.mark.parametrize("stale", [{"D": [0.0] * 8 + [0.02]}, {"NS": 16}, {"TD": 64}, {"DTYPA": None}], ids=str)
def test_parameters_of_the_template_let_nothing_count(tmp_path: Path, stale: dict[str, Any]) -> None:
    """Until the acquisition has written its own status nobody knows what the bytes mean."""
    assert complete_rows(view(tmp_path, 20, **stale), TASK) == 0


def test_the_file_is_read_only_when_the_clock_says_there_is_more(tmp_path: Path) -> None:
    """A part is complete once the row behind it has begun; then the next one is waited for, the last never."""
    live, row_s = LiveRows(), TASK.duration_s / ROWS
    assert (rows_per_part(ROWS), rows_per_part(320)) == (16, 48)
    parts, again_s = live.look(ORDER, view(tmp_path, 20), spent_s=5 * row_s)
    assert parts == 0
    assert again_s == pytest.approx(12.5 * row_s)
    assert live.look(ORDER, view(tmp_path, 16), spent_s=17 * row_s)[0] == 0  # the last row may still be under way
    assert live.look(ORDER, view(tmp_path, 36), spent_s=17 * row_s)[0] == 2
    assert live.look(ORDER, view(tmp_path, 48), spent_s=60 * row_s) == (2, None)
    one = replace(ORDER, task=replace(TASK, experiment=Exsy(mixing_time_s=0.5, rows=16, increment_s=1e-3)))
    assert live.look(replace(one, token="0123abcd-2"), view(tmp_path, 16), spent_s=1e6) == (0, None)


def test_a_snapshot_holds_whole_rows_and_is_never_rewritten(tmp_path: Path) -> None:
    """The same part again gives the same files; more than there is is refused."""
    seen = view(tmp_path / "1031", 20)
    files, count = snapshot(seen, ORDER, 1, tmp_path / "parts", station="nmr")
    assert count == 16
    assert (tmp_path / "parts" / "ser").stat().st_size == 16 * STRIDE
    assert {"acqus", "acqu2s", "ser"} <= set(files)
    before = {path: path.read_bytes() for path in (tmp_path / "parts").rglob("*") if path.is_file()}
    (tmp_path / "1031" / "acqus").write_text("##TITLE= changed\n", encoding="utf-8")
    assert snapshot(seen, ORDER, 1, tmp_path / "parts", station="nmr") == (files, count)
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(InstrumentError, match="does not show 32 rows"):
        snapshot(seen, ORDER, 2, tmp_path / "more", station="nmr")
    assert not (tmp_path / "more").exists()
