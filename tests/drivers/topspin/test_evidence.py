"""What a dataset on disk says of the order it may belong to."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.ports import Standing
from labctl_topspin._evidence import acquisition_evidence, look_at
from tests.drivers.topspin.composed import HALTED, STARTED, Composed

TOKEN = "0a1b2c3d-1"
WHOLE_2D = Composed()
WHOLE_1D = Composed(two_dimensional=False, raw_bytes=512 * 8)
SOMEBODYS = "cholesteryl acetate"

TABLE = [
    pytest.param(None, {}, Standing.NOT_STARTED, id="no folder"),
    pytest.param(None, {"handed_over": True}, Standing.PREPARED, id="step file, no folder"),
    pytest.param(None, {"busy": True, "begun": True}, Standing.RUNNING, id="begun, no folder yet"),
    pytest.param(Composed(raw_bytes=None, audit=None), {}, Standing.PREPARED, id="our token, no raw data"),
    pytest.param(
        Composed(raw_bytes=None, audit=None), {"busy": True, "begun": True}, Standing.RUNNING, id="being prepared"
    ),
    pytest.param(
        Composed(raw_bytes=None, audit=None, title="template"), {"begun": True}, Standing.PREPARED, id="not yet named"
    ),
    pytest.param(Composed(raw_bytes=None, audit=None, title="template"), {}, Standing.FOREIGN, id="prepared by others"),
    pytest.param(replace(WHOLE_2D, audit=STARTED), {"busy": True, "begun": True}, Standing.RUNNING, id="acquiring"),
    pytest.param(WHOLE_2D, {"busy": True, "begun": True}, Standing.RUNNING, id="ended, executor still reads back"),
    pytest.param(WHOLE_2D, {"begun": True}, Standing.FINISHED, id="whole 2D"),
    pytest.param(WHOLE_1D, {"begun": True}, Standing.FINISHED, id="whole 1D"),
    pytest.param(replace(WHOLE_1D, raw_bytes=4096), {}, Standing.FINISHED, id="padded 1D"),
    pytest.param(replace(WHOLE_2D, audit=STARTED), {"begun": True}, Standing.INTERRUPTED, id="no end entry"),
    pytest.param(replace(WHOLE_2D, audit=None), {"begun": True}, Standing.INTERRUPTED, id="no audit trail"),
    pytest.param(replace(WHOLE_2D, raw_bytes=9 * 4096), {"begun": True}, Standing.INTERRUPTED, id="short"),
    pytest.param(
        replace(WHOLE_2D, audit=HALTED, rows_acquired=9), {"begun": True}, Standing.INTERRUPTED, id="halted, allocated"
    ),
    pytest.param(
        replace(WHOLE_2D, audit=HALTED, rows_acquired=9, raw_bytes=9 * 4096),
        {"begun": True},
        Standing.INTERRUPTED,
        id="halted, cut",
    ),
    pytest.param(replace(WHOLE_1D, audit=HALTED, scans=3), {}, Standing.INTERRUPTED, id="halted 1D"),
    pytest.param(replace(WHOLE_1D, audit=HALTED), {}, Standing.FINISHED, id="halted after the last scan"),
    pytest.param(replace(WHOLE_2D, title=SOMEBODYS), {}, Standing.FOREIGN, id="foreign"),
    pytest.param(replace(WHOLE_2D, title=None), {"begun": True}, Standing.FOREIGN, id="no title, raw data"),
    pytest.param(replace(WHOLE_2D, title=SOMEBODYS), {"busy": True, "begun": True}, Standing.FOREIGN, id="taken over"),
    pytest.param(replace(WHOLE_2D, title="campaign nmr/x 0a1b2c3d-2"), {}, Standing.FOREIGN, id="another attempt"),
]


@pytest.mark.parametrize(("composed", "known", "expected"), TABLE)
def test_the_decision_table(
    tmp_path: Path, composed: Composed | None, known: dict[str, bool], expected: Standing
) -> None:
    """Each line of the table: what is on disk and what the records say, and what follows."""
    folder = tmp_path / "2031"
    if composed is not None:
        composed.write(folder)
    two_dimensional = composed is None or composed.two_dimensional
    asked = {"begun": False, "busy": False, "handed_over": False, **known}
    evidence = acquisition_evidence(look_at(folder), token=TOKEN, rows=16 if two_dimensional else 0, scans=8, **asked)
    assert evidence.standing is expected, evidence.detail
    assert evidence.detail


def test_a_cut_parameter_file_is_no_proof(tmp_path: Path) -> None:
    """While the status parameters are being written nothing is called whole."""
    folder = WHOLE_2D.write(tmp_path / "2031")
    assert look_at(folder).whole
    text = (folder / "acqus").read_text(encoding="utf-8")
    for length in range(0, len(text), 97):
        (folder / "acqus").write_text(text[:length], encoding="utf-8")
        view = look_at(folder)
        assert view.whole is (set(view.acqus) >= {"TD", "DTYPA"})
    (folder / "acqus").unlink()
    assert not look_at(folder).whole


def test_growth_shows_in_a_file_of_fixed_size(tmp_path: Path) -> None:
    """A preallocated ser keeps its size while rows come in; its signature changes all the same."""
    folder = WHOLE_2D.write(tmp_path / "2031")
    before = look_at(folder)
    assert before.raw is not None
    stamp_ns = before.raw.stat().st_mtime_ns
    with before.raw.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\2" * 4096)
    os.utime(before.raw, ns=(stamp_ns, stamp_ns + 1_000_000))
    after = look_at(folder)
    assert after.signature != before.signature
    assert after.whole
