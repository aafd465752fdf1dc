"""One EXPNO: what the files hold decides, and what is missing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.errors import InputError
from labctl.formats.bruker_dataset import read_dataset

RNG = np.random.default_rng(5)


def _rows(count: int, points: int) -> Any:
    return np.round(1e4 * (RNG.normal(size=(count, points)) + 1j * RNG.normal(size=(count, points))))


@pytest.mark.parametrize(("dtypa", "order", "dtype"), [(0, 0, "<i4"), (0, 1, ">i4"), (2, 0, "<f8"), (2, 1, ">f8")])
@pytest.mark.parametrize("td", [256, 900, 3990])
def test_rows_of_any_type_and_length(
    write_expno: Any, compose: Any, dtypa: int, order: int, dtype: str, td: int
) -> None:
    """int32 and float64, either byte order, any padding: the same complex rows come back, scaled by 2**NC."""
    rows = _rows(16, td // 2)
    status = compose.acqus(TD=td, DTYPA=dtypa, BYTORDA=order, NC=-3)
    folder = write_expno(compose.row_bytes(rows, dtype), status=status, indirect=compose.acqu2s())

    dataset = read_dataset(folder)

    np.testing.assert_array_equal(dataset.data, rows / 8)
    assert (dataset.dimension, dataset.kind, dataset.ending) == ("2D", "exsy", "complete")
    assert not any("row" in remark for remark in dataset.remarks)


def test_parameters_of_an_exsy(write_expno: Any, compose: Any) -> None:
    """D8, D1, NS, the increment and the effective first t1 (half a dwell, pulses included) are the acquired ones."""
    dataset = read_dataset(write_expno(compose.row_bytes(_rows(16, 128), "<f8"), indirect=compose.acqu2s()))

    assert (dataset.mixing_time_s, dataset.recycle_delay_s, dataset.scans) == (1.5, 50.0, 8)
    assert dataset.indirect is not None
    assert dataset.indirect.quadrature == "States-TPPI"
    assert dataset.indirect.increment_s == pytest.approx(0.8e-3)
    assert dataset.indirect.start_s == pytest.approx(0.4e-3, rel=1e-5)
    assert (dataset.spinning_Hz, dataset.sensor_K, dataset.nucleus) == (10000.0, 293.15, "6Li")
    assert dataset.ppm(dataset.offset_Hz(1.29)) == pytest.approx(1.29)


def test_a_halted_2d_keeps_the_rows_that_were_acquired(write_expno: Any, compose: Any) -> None:
    """After halt, ser may keep its full size: acqu2s TD counts, at exactly half the rows as at any other number."""
    rows = _rows(16, 128)
    rows[8:] = 0
    folder = write_expno(compose.row_bytes(rows, "<f8"), indirect=compose.acqu2s(TD=8), requested=compose.acqu2s(TD=16))

    dataset = read_dataset(folder)

    assert dataset.data.shape == (8, 128)
    assert (dataset.rows_asked, dataset.rows_acquired, dataset.ending) == (16, 8, "halted")


@pytest.mark.parametrize("kept", [0, 1, 7, 15])
def test_a_short_file_is_unfinished(write_expno: Any, compose: Any, kept: int) -> None:
    """A file that holds fewer rows than it should, cut in the middle of one, gives its whole rows."""
    rows = _rows(16, 128)
    raw = compose.row_bytes(rows, "<f8")[: 2048 * kept + 1000]
    dataset = read_dataset(write_expno(raw, indirect=compose.acqu2s()))

    np.testing.assert_array_equal(dataset.data, rows[:kept])
    assert dataset.ending == "unfinished"
    assert any(f"{kept} whole rows of 16" in remark for remark in dataset.remarks)


def test_a_preallocated_file_is_unfinished(write_expno: Any, compose: Any) -> None:
    """Zero rows at the end of a full-size file were not acquired."""
    rows = _rows(16, 128)
    rows[11:] = 0
    dataset = read_dataset(write_expno(compose.row_bytes(rows, "<f8"), indirect=compose.acqu2s()))

    assert (dataset.rows_acquired, dataset.ending) == (11, "unfinished")


def test_a_short_fid_is_unfinished(write_expno: Any, compose: Any) -> None:
    """Half a fid is read as half a fid, and said to be one."""
    row = _rows(1, 128)
    raw = compose.row_bytes(row, "<f8", pad=False)[:1024]
    dataset = read_dataset(write_expno(raw, status=compose.acqus(PULPROG="zg")))

    np.testing.assert_array_equal(dataset.data, row[:, :64])
    assert (dataset.kind, dataset.ending) == ("one_pulse", "unfinished")


@pytest.mark.parametrize(
    ("changes", "delay"),
    [
        ({"GRPDLY": 68.0}, 68.0),
        ({"GRPDLY": 67.984}, 67.984),
        ({"GRPDLY": 76.0, "DIGMOD": 0}, 0.0),
        ({"GRPDLY": 67.98, "DSPFVS": -1}, 0.0),
        ({"GRPDLY": -1, "DSPFVS": 12, "DECIM": 16}, 71.625),
        ({"GRPDLY": -1, "DSPFVS": 10, "DECIM": 24}, 61.0208),
        ({"GRPDLY": -1, "DSPFVS": 10, "DECIM": 5}, 0.0),
    ],
)
def test_group_delay_is_guarded(write_expno: Any, compose: Any, changes: dict[str, object], delay: float) -> None:
    """GRPDLY holds, except in converted data where the filter is gone, and before 2003 where a table stands for it."""
    folder = write_expno(compose.row_bytes(_rows(1, 128), "<f8"), status=compose.acqus(PULPROG="zg", **changes))

    assert read_dataset(folder).group_delay_points == pytest.approx(delay, abs=1e-4)


@pytest.mark.parametrize(("te", "sensor"), [(293.15, 293.15), (-55.7, None), (0, None), (1200.0, None)])
def test_implausible_temperatures_are_no_temperatures(
    write_expno: Any, compose: Any, te: float, sensor: float | None
) -> None:
    """A console without VT unit writes nonsense into TE, which is not passed on."""
    folder = write_expno(compose.row_bytes(_rows(1, 128), "<f8"), status=compose.acqus(TE=te))

    assert read_dataset(folder).sensor_K == sensor


@pytest.mark.parametrize(
    ("pulse_program", "files", "status", "kind"),
    [
        ("satrect1", {"vdlist": "1\n2\n"}, {}, "saturation_recovery"),
        ("satrect1", {"lists/vd/labctl_ab-1": "1\n2\n"}, {"VDLIST": "labctl_ab-1"}, "saturation_recovery"),
        ("t1ir", {"vdlist": "1\n2\n"}, {"VDLIST": "DDDDDDDDDDDDDDD"}, "inversion_recovery"),
        ("zg2d_nut", {"vplist": "1\n2\n"}, {}, "nutation"),
        ("cpmg", {"vdlist": "1\n2\n"}, {}, "unknown"),
    ],
)
def test_list_experiments_are_told_by_their_lists(
    write_expno: Any, compose: Any, pulse_program: str, files: dict[str, str], status: dict[str, object], kind: str
) -> None:
    """Old and new places of lists are found; what the list is, and the name of the program, give the kind."""
    folder = write_expno(
        compose.row_bytes(_rows(2, 128), "<f8"),
        status=compose.acqus(PULPROG=pulse_program, **status),
        indirect=compose.acqu2s(TD=2, FnMODE=1),
        files=files,
    )

    dataset = read_dataset(folder)

    assert (dataset.dimension, dataset.kind) == ("pseudo-2D", kind)
    assert dataset.delays_s == (1.0, 2.0) or dataset.pulses_s == (1e-6, 2e-6)


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda folder: (folder / "acqus").unlink(), "no file acqus"),
        (lambda folder: (folder / "ser").unlink(), "no raw data"),
        (lambda folder: (folder / "acqus").write_text("##TITLE= x\n##$TD= 256\n##$AQ_mod= 0\n"), "not complex"),
        (lambda folder: (folder / "acqus").write_text("##TITLE= x\n##$NS= 8\n"), "TD: the parameter is missing"),
        (lambda folder: (folder / "acqus").write_text("##TITLE= x\n##$TD= 256\n##$DTYPA= 1\n"), "DTYPA"),
        (lambda folder: (folder / "acqu2s").write_text("##TITLE= x\n##$D= (0..9)\n1 2\n"), "acqu2s:2:"),
    ],
)
def test_what_is_broken_is_named(write_expno: Any, compose: Any, break_it: Any, says: str) -> None:
    """Missing files, missing or senseless parameters and cut files are input errors that say which."""
    folder = write_expno(compose.row_bytes(_rows(16, 128), "<f8"), indirect=compose.acqu2s())
    break_it(folder)

    with pytest.raises(InputError, match=says):
        read_dataset(folder)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "shape", "kind", "ending", "delay", "nucleus"),
    [
        ("neo-1d", (1, 32768), "one_pulse", "complete", 68.0, "1H"),
        ("halted-1d", (1, 3072), "one_pulse", "halted", 2.4875, "27Al"),
        ("cosy-states", (256, 512), "unknown", "complete", 67.9873, "1H"),
        ("hsqc-states-tppi", (128, 512), "unknown", "complete", 67.9842, "1H"),
        ("big-endian-2d", (256, 1024), "unknown", "complete", 71.625, "1H"),
        ("satrec-29si", (9, 2048), "saturation_recovery", "complete", 67.9814, "29Si"),
        ("exsy-19f/20", (32, 1024), "exsy", "complete", 67.9843, "19F"),
    ],
)
def test_real_data_of_many_consoles(
    shared_data: Path, name: str, shape: tuple[int, int], kind: str, ending: str, delay: float, nucleus: str
) -> None:
    """Datasets of TopSpin 2.0 to 4.1, int32 and float64, both byte orders, are read with shape and parameters."""
    dataset = read_dataset(shared_data / "bruker" / name)

    assert dataset.data.shape == shape
    assert (dataset.kind, dataset.ending, dataset.nucleus) == (kind, ending, nucleus)
    assert dataset.group_delay_points == pytest.approx(delay, abs=1e-4)


@pytest.mark.real_data
def test_real_exsy_parameters(shared_data: Path) -> None:
    """The eleven 19F mixing times and the half-dwell start of noesyph are read from the status parameters."""
    datasets = [read_dataset(shared_data / "bruker" / "exsy-19f" / str(expno)) for expno in range(10, 21)]

    assert [1e3 * (one.mixing_time_s or 0) for one in datasets] == [2, 5, 10, 15, 25, 35, 50, 75, 100, 200, 600]
    for one in datasets:
        assert one.indirect is not None
        assert one.indirect.increment_s == pytest.approx(442.8e-6)
        assert one.indirect.start_s == pytest.approx(442.8e-6 / 2, rel=1e-5)
        assert one.title
        assert one.sensor_K == pytest.approx(298, abs=0.1)


@pytest.mark.real_data
def test_real_data_agree_with_nmrglue(shared_data: Path) -> None:
    """Where nmrglue reads a dataset, ours holds the same numbers (times 2**NC)."""
    bruker = pytest.importorskip("nmrglue.fileio.bruker")
    for name in ("neo-1d", "cosy-states", "big-endian-2d", "exsy-19f/10"):
        ours = read_dataset(shared_data / "bruker" / name)
        _, theirs = bruker.read(str(shared_data / "bruker" / name), read_pulseprogram=False)
        nc = ours.acqus["NC"]
        assert isinstance(nc, int)
        np.testing.assert_allclose(ours.data, np.atleast_2d(theirs)[:, : ours.points] * 2.0**nc)
