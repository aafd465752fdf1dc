"""Raw data into the run folder, and the settings read back from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import ForeignDataError
from labctl_topspin._codec import record
from labctl_topspin._collect import collected, copy_tree
from labctl_topspin._evidence import look_at
from tests.drivers.topspin.composed import HALTED, Composed
from tests.drivers.topspin.orders import acquire


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("link", [True, False])
def test_a_copy_is_the_same_and_can_be_made_twice(tmp_path: Path, *, link: bool) -> None:
    """Every file arrives byte for byte, and bringing it in again changes nothing."""
    source = Composed().write(tmp_path / "console" / "2031")
    target = tmp_path / "run" / "2031"
    first = copy_tree(source, target, link=link, station="nmr")
    assert content(target) == content(source)
    stamps = {path: (target / path).stat().st_mtime_ns for path in first}
    assert copy_tree(source, target, link=link, station="nmr") == first
    assert {path: (target / path).stat().st_mtime_ns for path in first} == stamps


@pytest.mark.parametrize("link", [True, False])
def test_a_different_file_is_never_overwritten(tmp_path: Path, *, link: bool) -> None:
    """Where other data stand, bringing in stops and leaves them as they are."""
    source = Composed().write(tmp_path / "console" / "2031")
    target = tmp_path / "run" / "2031"
    target.mkdir(parents=True)
    (target / "ser").write_bytes(b"50 hours of somebody")
    with pytest.raises(ForeignDataError, match="ser"):
        copy_tree(source, target, link=link, station="nmr")
    assert (target / "ser").read_bytes() == b"50 hours of somebody"


def test_settings_are_those_the_console_wrote(tmp_path: Path) -> None:
    """Mixing time, delays, widths and temperature come from the status files, the rate from the read-back."""
    view = look_at(Composed().write(tmp_path / "2031"))
    done = record(
        "done",
        "seq=1\ntoken=0a1b2c3d-1\nphase=done\ntime=5\nte_before_K=333.1\nte_after_K=335.2\n"
        "spinning_before_Hz=9998\nspinning_after_Hz=10002\nend\n",
    )
    found = collected(view, ("2031/ser",), acquire(), done, spinning_readback_Hz=10000.0)
    assert found.completeness == "complete"
    expected = {
        "pulse_program": "noesyph",
        "nucleus": "6Li",
        "scans": 8,
        "dummy_scans": 4,
        "points": 512,
        "rows": 16,
        "rows_acquired": 16,
        "recycle_delay_s": 5.0,
        "mixing_time_s": 0.2,
        "increment_s": 1 / 1250,
        "spectral_width_F1_Hz": 1250.0,
        "spectral_width_Hz": 10000.0,
        "carrier_ppm": pytest.approx(1.5),
        "pulse_s": pytest.approx(4.9e-6),
        "receiver_gain": 64.0,
        "spinning_Hz": 10000.0,
        "sensor_K": 333.15,
        "sensor_before_K": 333.1,
        "sensor_after_K": 335.2,
        "overflow": 0,
        "topspin_version": "4.0.8",
        "uuid": "014ec2dc",
    }
    assert {key: found.settings[key] for key in expected} == expected
    assert any("moved by +2.10 K" in remark for remark in found.remarks)
    assert 0.0 < found.started_s < found.ended_s


@pytest.mark.parametrize(
    ("composed", "completeness"),
    [
        (Composed(audit=HALTED, rows_acquired=9), "partial"),
        (Composed(raw_bytes=9 * 4096), "partial"),
        (Composed(audit=None), "partial"),
        (Composed(raw_bytes=None, audit=None), "failed"),
    ],
)
def test_incomplete_data_are_called_so(tmp_path: Path, composed: Composed, completeness: str) -> None:
    """Halted, short and missing data are told apart from whole ones."""
    view = look_at(composed.write(tmp_path / "2031"))
    assert collected(view, (), acquire(), None, spinning_readback_Hz=None).completeness == completeness


def test_a_sensor_that_is_none_is_not_believed(tmp_path: Path) -> None:
    """673.2 K stands for a missing sensor; then the readings around the acquisition count, and it is said."""
    view = look_at(replace(Composed(), te_K=673.2).write(tmp_path / "2031"))
    done = record("done", "seq=1\ntoken=x\ntime=5\nte_before_K=333\nte_after_K=334\nend\n")
    found = collected(view, (), acquire(), done, spinning_readback_Hz=None)
    assert found.settings["sensor_K"] == 333.5
    assert any("TE of acqus" in remark for remark in found.remarks)
