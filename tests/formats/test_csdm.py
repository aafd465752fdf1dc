"""Spectra in the Core Scientific Dataset Model as csdmpy reads them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from labctl.errors import InputError
from labctl.formats.bruker_pdata import ProcessedAxis
from labctl.formats.csdm import write_csdm

csdmpy = pytest.importorskip("csdmpy")

F1 = ProcessedAxis(ppm=np.linspace(8.0, -7.0, 16), reference_MHz=73.578, nucleus="6Li")
F2 = ProcessedAxis(ppm=np.linspace(9.5, -3.0, 64), reference_MHz=73.578, nucleus="6Li")


def test_a_spectrum_comes_back_with_its_axes_in_ppm(tmp_path: Path) -> None:
    """Shape, values, both axes in ppm, and what else is known of the spectrum."""
    spectrum = np.random.default_rng(1).normal(size=(16, 64))
    path = write_csdm(tmp_path / "deep" / "a.csdf", spectrum, (F1, F2), description="25 C", application={"T_K": 298.15})
    read = csdmpy.load(str(path), application=True)

    np.testing.assert_allclose(read.y[0].components[0], spectrum, rtol=1e-6)
    for axis, dimension in ((F2, read.x[0]), (F1, read.x[1])):
        dimension.to("ppm", "nmr_frequency_ratio")
        np.testing.assert_allclose(dimension.coordinates.value, axis.ppm, atol=1e-9)
        assert dimension.label == "6Li shift"
    assert read.description == "25 C"
    assert read.application["labctl"]["T_K"] == 298.15


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that exists is left alone."""
    (tmp_path / "a.csdf").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="exists"):
        write_csdm(tmp_path / "a.csdf", np.eye(16, 64), (F1, F2))
    assert (tmp_path / "a.csdf").read_text(encoding="utf-8") == "mine"


def test_without_csdmpy_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings csdmpy is named."""
    monkeypatch.setitem(sys.modules, "csdmpy", None)
    with pytest.raises(InputError, match=r"csdmpy") as refused:
        write_csdm(tmp_path / "a.csdf", np.eye(16, 64), (F1, F2))
    assert "[csdm]" in str(refused.value)
