"""Processed Bruker data as others read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nmrglue.fileio import bruker, fileiobase

from labctl.errors import InputError
from labctl.formats.bruker_pdata import ProcessedAxis, write_2d

SF, WIDTH_HZ = 73.578, (1250.0, 5000.0)


def _axis(size: int, width_Hz: float, carrier_ppm: float = 1.5) -> ProcessedAxis:
    """Return an axis as TopSpin lays it: the first point half a width above the carrier."""
    ppm = carrier_ppm + width_Hz / SF * (0.5 - np.arange(size) / size)
    return ProcessedAxis(ppm=ppm, reference_MHz=SF, nucleus="6Li", broadening_Hz=5.0)


def _write(folder: Path, spectrum: Any, **more: Any) -> Path:
    f1, f2 = (_axis(size, width) for size, width in zip(spectrum.shape, WIDTH_HZ, strict=True))
    return write_2d(folder / "7", spectrum, f1=f1, f2=f2, title="a title", **more)


@given(
    spectrum=arrays(np.float64, (4, 8), elements=st.floats(-1e3, 1e3, allow_subnormal=False)),
    power=st.integers(-60, 60),
)
def test_what_is_read_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, spectrum: Any, power: int) -> None:
    """Whatever the scale, nmrglue reads the spectrum back to 2^-28 of its highest point."""
    spectrum = spectrum * 2.0**power
    _, data = bruker.read_pdata(str(_write(tmp_path_factory.mktemp("x"), spectrum)))
    assert np.abs(data - spectrum).max() <= np.abs(spectrum).max() * 2.0**-28


def test_axes_are_where_they_were(tmp_path: Path) -> None:
    """By procs alone nmrglue places every point of both axes as it was given, to 1e-9 ppm."""
    procno = _write(tmp_path, np.eye(64, 128))
    dic, data = bruker.read_pdata(str(procno))
    known = bruker.guess_udic(dic, data)
    for dimension, (size, width) in enumerate(zip((64, 128), WIDTH_HZ, strict=True)):
        scale = fileiobase.uc_from_udic(known, dimension).ppm_scale()
        np.testing.assert_allclose(scale, _axis(size, width).ppm, atol=1e-9)
    assert (procno / "title").read_text(encoding="utf-8").strip() == "a title"


def test_imaginary_parts_share_the_scale(tmp_path: Path) -> None:
    """All four parts are read back in nmrglue's order, scaled by one exponent, the largest of them intact."""
    parts = {name: factor * np.eye(8) for name, factor in (("2ri", 2.0), ("2ir", -900.0), ("2ii", 0.5))}
    _, data = bruker.read_pdata(str(_write(tmp_path, np.eye(8), imaginary=parts)), all_components=True)
    for read, written in zip(data, (np.eye(8), parts["2ri"], parts["2ir"], parts["2ii"]), strict=True):
        np.testing.assert_allclose(read, written, atol=900 * 2.0**-28)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second spectrum takes the next PROCNO, and parameters that stand there already are kept."""
    source = tmp_path / "raw"
    source.mkdir()
    (source / "acqus").write_text("from the source", encoding="utf-8")
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "acqus").write_text("there before", encoding="utf-8")
    first = _write(tmp_path, np.eye(4), parameters_from=source)
    before = (first / "2rr").read_bytes()
    second = _write(tmp_path, 5 * np.ones((4, 4)), parameters_from=source)

    assert (first.name, second.name) == ("1", "2")
    assert (first / "2rr").read_bytes() == before
    assert (tmp_path / "7" / "acqus").read_text(encoding="utf-8") == "there before"


def test_what_no_reader_would_understand_is_refused(tmp_path: Path) -> None:
    """Odd sizes, wrong shapes, unknown parts and values that are no numbers leave no folder behind."""
    with pytest.raises(InputError, match="powers of two"):
        _write(tmp_path, np.zeros((6, 8)))
    with pytest.raises(InputError, match="not numbers"):
        _write(tmp_path, np.full((4, 4), np.nan))
    with pytest.raises(InputError, match="points on axes"):
        _write(tmp_path, np.eye(4), imaginary={"2ir": np.eye(8)})
    with pytest.raises(InputError, match="no part"):
        _write(tmp_path, np.eye(4), imaginary={"3rrr": np.eye(4)})
    assert not (tmp_path / "7").exists()
