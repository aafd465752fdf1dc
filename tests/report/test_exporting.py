"""Spectra for other programs, made from real 2Ds and read by those programs' readers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from nmrglue.fileio import bruker, fileiobase
from scipy.signal import hilbert

from labctl.analysis.campaign import analyze_paths
from labctl.analysis.results import Results
from labctl.errors import InputError
from labctl.report.exporting import export_spectra

SITES = {"A": -47.25, "B": -48.31}


@pytest.fixture(scope="module")
def raw(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the shortest of the 19F mixing times, in a place that may be written to."""
    folder = tmp_path_factory.mktemp("raw")
    shutil.copytree(shared_data / "bruker" / "exsy-19f" / "10", folder / "10", copy_function=shutil.copyfile)
    for one in [folder / "10", *(folder / "10").rglob("*")]:
        one.chmod(0o755 if one.is_dir() else 0o644)
    return folder


@pytest.fixture(scope="module")
def results(raw: Path) -> Results:
    """Return what the analysis makes of it."""
    return analyze_paths([raw])


@pytest.mark.real_data
def test_peaks_of_real_data_stand_where_they_are(results: Results, tmp_path: Path) -> None:
    """By nmrglue's own axes the tallest point of the exported 2rr is the diagonal peak of the strongest site."""
    written = export_spectra(results, tmp_path)
    procno = tmp_path / "bruker" / "10" / "pdata" / "1"
    assert procno in written
    dic, data = bruker.read_pdata(str(procno))
    known = bruker.guess_udic(dic, data, strip_fake=True)
    at = np.unravel_index(int(np.argmax(data)), data.shape)
    for dimension, point in enumerate(at):
        axis = fileiobase.uc_from_udic(known, dimension)
        step = abs(axis.ppm(0) - axis.ppm(1))
        assert axis.ppm(int(point)) == pytest.approx(results.exsy.sites[0].ppm, abs=1.01 * step)
    drawn = {one.name for one in (tmp_path / "figures").iterdir()}
    assert drawn == {"residuals_2d.svg", "spectra_2d.svg"}
    assert data.min() > -0.1 * data.max()


@pytest.mark.real_data
def test_imaginary_parts_are_hilbert_transforms(results: Results, tmp_path: Path) -> None:
    """2ri is what a Hilbert transform along F1 makes of 2rr, 2ir along F2, but for the sign and truncation."""
    export_spectra(results, tmp_path, figures=False)
    procno = tmp_path / "bruker" / "10" / "pdata" / "1"
    _, (real, f1_imaginary, f2_imaginary, _) = bruker.read_pdata(str(procno), all_components=True)
    for imaginary, axis in ((f1_imaginary, 0), (f2_imaginary, 1)):
        expected = hilbert(real, axis=axis).imag
        likeness = np.corrcoef(imaginary.ravel(), expected.ravel())[0, 1]
        assert abs(likeness) > 0.9


@pytest.mark.real_data
def test_acquired_folders_are_left_alone_unless_asked(results: Results, raw: Path, tmp_path: Path) -> None:
    """An export writes beside raw data only when asked to, into the next PROCNO, and into no raw EXPNO by chance."""
    before = {one: one.read_bytes() for one in raw.rglob("*") if one.is_file()}
    export_spectra(results, tmp_path, figures=False)
    assert {one: one.read_bytes() for one in raw.rglob("*") if one.is_file()} == before

    written = export_spectra(results, tmp_path / "again", beside_raw=True, figures=False)
    assert raw / "10" / "pdata" / "2" in written
    assert {one: one.read_bytes() for one in before} == before

    trap = tmp_path / "trap"
    (trap / "bruker" / "10").mkdir(parents=True)
    (trap / "bruker" / "10" / "ser").write_bytes(b"somebody's")
    said: list[str] = []
    export_spectra(results, trap, figures=False, tell=said.append)
    assert any("holds acquired data" in line for line in said)
    assert [one.name for one in (trap / "bruker" / "10").iterdir()] == ["ser"]


def test_without_a_2d_there_is_nothing_to_export(tmp_path: Path) -> None:
    """Results of another kind are refused in words."""
    with pytest.raises(InputError, match="no 2D-EXSY"):
        export_spectra(Results(), tmp_path)
