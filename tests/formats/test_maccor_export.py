"""Maccor exports: real files against integration, composed dialects, proofs that bite, and nonsense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.formats import battery_data as bdf
from labctl.formats.battery_data import write_battery_data
from labctl.formats.maccor_export import read_maccor_file
from labctl.formats.maccor_files import read_maccor
from labctl.formats.maccor_head import is_maccor, maccor_head
from labctl.formats.maccor_model import MaccorExport
from tests.formats.maccor_variants import VARIANTS, SET_Ah, Variant, fixed_capacity

ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
PLAIN = VARIANTS[0]
SECONDS = next(one for one in VARIANTS if one.name == "one line, seconds")


def written(folder: Path, content: bytes, name: str = "cell.txt") -> Path:
    """Write a file to be read."""
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    """Return the message with which a file is refused; it names the file."""
    with pytest.raises(InputError) as caught:
        read_maccor_file(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def column(variant: Variant, name: str) -> int:
    """Place of a column."""
    return variant.header.index(name)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.name)
@pytest.mark.parametrize("split", [False, True])
def test_every_dialect_gives_the_same_test(tmp_path: Path, variant: Variant, split: bool) -> None:
    """Head, separator, decimal mark, time unit, sign and restart rule change the text, never the numbers."""
    rows = fixed_capacity(split=split)
    export = read_maccor_file(written(tmp_path, variant.text(rows)))
    frame = export.frame
    assert np.allclose(frame[bdf.TIME], [row.test_s for row in rows], atol=4e-3)
    signed = [row.current_A * {"C": 1, "D": -1, "R": 0}[row.state] for row in rows]
    assert np.allclose(frame[bdf.CURRENT], signed, atol=1e-9)
    assert np.allclose(frame[bdf.VOLTAGE], [row.voltage_V for row in rows], atol=1e-6)
    assert frame[bdf.CHARGED][-1] == pytest.approx(2 * SET_Ah, rel=1e-5)
    assert frame[bdf.DISCHARGED][-1] == pytest.approx(2 * 0.98 * SET_Ah, rel=1e-5)
    assert export.proofs.time_unit == variant.time_unit
    assert "charge" in export.proofs.time_proof
    assert export.proofs.voltage_factor == (1e-3 if variant.milli_volt else 1.0)
    if split:
        assert export.proofs.restarts == ("direction change" if variant.reset == "turn" else "every step")
    assert [run.end_code for run in export.runs if run.direction == -1] == [133, 133]
    assert [int(one) for one in frame[bdf.CYCLE].unique().sort()] == [1, 2]


REAL: dict[str, tuple[float, float, float, float, float]] = {
    # end of test [s], voltage from, to [V], Ah charged, discharged: sums of the last rows of steps, by hand
    "maccor_001.txt": (183171.57, 2.50004, 4.20012, 17.6236, 17.36311),
    "maccor_002.txt": (228590.50998, 0.0345, 3.8, 0.00471871, 0.00450493),
    "maccor_three.txt": (326843.42, 1.3000687, 3.8019379, 12.6235215, 12.5191547),
    "xTESLADIAG_000038.078": (161827.16, 2.9999237, 4.29999237, 92.7713662, 91.4653571),
    "PredictionDiagnostics_000151_paused.052": (769270.57, 3.86251621, 3.86823835, 0.0, 0.0236349063),
    "PredictionDiagnostics_000151_test.052": (769270.57, 3.86251621, 3.86823835, 0.0, 0.0236349063),
    "maccor_two.txt": (12720.0, 0.1377, 0.1514, 0.0, 0.0),
    "maccor_test_file_4267-66-6519.041": (10.0, 3.90806439, 3.91172656, 0.0, 0.0),
    "sample_data_maccor.csv": (13.06, 3.668, 3.716, 0.024, 0.0),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_right(shared_data: Path, name: str) -> None:
    """End of test, span of voltage and charge in both directions are right; signs agree with an integral of ours."""
    export = read_maccor_file(shared_data / "maccor" / name)
    frame = export.frame
    end_s, low_V, high_V, charged_Ah, discharged_Ah = REAL[name]
    assert frame[bdf.TIME][-1] == pytest.approx(end_s, abs=1e-3)
    assert (frame[bdf.VOLTAGE].min(), frame[bdf.VOLTAGE].max()) == pytest.approx((low_V, high_V))
    assert frame[bdf.CHARGED][-1] == pytest.approx(charged_Ah, abs=1e-7)
    assert frame[bdf.DISCHARGED][-1] == pytest.approx(discharged_Ah, abs=1e-7)
    first = export.runs[0]
    before_Ah = abs(first.capacity_Ah - first.integrated_Ah) if first.begun_before else 0.0  # in an earlier file
    current_A, time_s = frame[bdf.CURRENT].to_numpy(), frame[bdf.TIME].to_numpy()
    for sign, told_Ah in ((1, charged_Ah), (-1, discharged_Ah)):
        integral_Ah = np.trapezoid(np.clip(sign * current_A, 0.0, None), time_s) / 3600
        assert integral_Ah + before_Ah * (first.direction == sign) == pytest.approx(told_Ah, rel=1.1e-2, abs=1e-9)
    if bdf.STATE in frame.columns:
        for state, sign in (("C", 1), ("D", -1), ("R", 0)):
            rows = current_A[(frame[bdf.STATE] == state).to_numpy()]
            assert set(np.sign(rows[rows != 0.0])) <= {sign}, f"{state} rows with current of another sign"


@pytest.mark.real_data
def test_what_real_files_do_wrong_is_said(shared_data: Path) -> None:
    """A cut row, a pause, millivolts called volts, assumed units and impedance rows are all reported."""

    def said(name: str) -> str:
        return " / ".join(read_maccor_file(shared_data / "maccor" / name).warnings)

    assert "line 229: the last row is cut off" in said("maccor_two.txt")
    rows = [
        line for line in (shared_data / "maccor" / "maccor_two.txt").read_bytes().split(b"\n") if line[:1].isdigit()
    ]
    assert read_maccor_file(shared_data / "maccor" / "maccor_two.txt").frame.height == len(rows) - 1
    assert "line 47: the test paused: +7201 s" in said("PredictionDiagnostics_000151_paused.052")
    assert said("PredictionDiagnostics_000151_test.052") == ""
    assert "0.001 V" in said("maccor_three.txt")
    assert "'Current' taken to be in A" in said("sample_data_maccor.csv")
    fra = read_maccor_file(shared_data / "maccor" / "maccor_test_file_4267-66-6519.041")
    assert (fra.frame.height, fra.impedance.height) == (13, 61)
    assert set(fra.impedance[bdf.STATE]) == {"FRA"}
    assert "FRA" not in set(fra.frame[bdf.STATE])


@pytest.mark.real_data
def test_a_suspended_step_keeps_what_its_last_row_counts(shared_data: Path) -> None:
    """The row of suspension carries the step's final charge, 9 mAh more than the last row under current."""
    last = read_maccor_file(shared_data / "maccor" / "xTESLADIAG_000038.078").runs[-1]
    assert (last.end_code, last.direction) == (192, -1)
    assert last.capacity_Ah == pytest.approx(2.2376479483)


@pytest.mark.real_data
def test_two_files_of_a_test_are_one(shared_data: Path) -> None:
    """Files join in the order of their clocks, also where the later one's clock has no dates."""
    folder = shared_data / "maccor"
    export = read_maccor([folder / "maccor_example.002", folder / "maccor_example.001"])
    assert export.frame["File / 1"].to_list() == [1] * 8 + [2] * 8
    assert export.frame[bdf.TIME][8] == pytest.approx(86400.0)
    assert export.frame[bdf.TIME].is_sorted()
    last_min = float((folder / "maccor_example.002").read_text(encoding="latin-1").split("\n")[-2].split("\t")[3])
    assert export.frame[bdf.TIME][-1] == pytest.approx(86400.0 + 60.0 * last_min, abs=6e-3)
    assert (export.frame[bdf.CURRENT] == 0.0).all(), "a rest; so nothing is charged or discharged"
    assert export.frame[bdf.CHARGED][-1] == export.frame[bdf.DISCHARGED][-1] == 0.0


def test_a_wrong_sign_is_refused_with_its_line(tmp_path: Path) -> None:
    """A charge row with negative current, or all signs the wrong way round, contradict the state letters."""
    rows = fixed_capacity()

    def one(cells: list[list[str]]) -> None:
        cells[60][column(SECONDS, "Amps")] = "-" + cells[60][column(SECONDS, "Amps")]

    def all_of_them(cells: list[list[str]]) -> None:
        for row in cells:
            at = column(SECONDS, "Amps")
            row[at] = row[at].removeprefix("-") if row[at].startswith("-") else "-" + row[at]

    path = written(tmp_path, SECONDS.text(rows, one))
    assert f"{path}:63:" in refusal(path)
    assert "contradicts the state 'C'" in refusal(path)
    assert "everywhere" in refusal(written(tmp_path, SECONDS.text(rows, all_of_them), "b.txt"))


def test_letters_and_signs_wrong_together_are_refused_by_the_voltage(tmp_path: Path) -> None:
    """Where states and signs agree on the wrong direction, the cell's ohmic answer still says so."""

    def swap(cells: list[list[str]]) -> None:
        for row in cells:
            at, state = column(SECONDS, "Amps"), column(SECONDS, "State")
            row[state] = {"C": "D", "D": "C"}.get(row[state], row[state])
            row[at] = row[at].removeprefix("-") if row[at].startswith("-") else "-" + row[at]

    path = written(tmp_path, SECONDS.text(fixed_capacity(), swap))
    assert "the voltage answers against the current" in refusal(path)


def test_lost_signs_without_states_are_refused(tmp_path: Path) -> None:
    """Magnitudes without a column of states leave the direction open, and the voltage shows that they do."""
    variant = next(one for one in VARIANTS if one.name == "no state, signed")

    def lose(cells: list[list[str]]) -> None:
        for row in cells:
            row[variant.header.index("Amps")] = row[variant.header.index("Amps")].removeprefix("-")

    assert "signs are wrong or were lost" in refusal(written(tmp_path, variant.text(fixed_capacity(), lose)))


@pytest.mark.parametrize(
    ("name", "factor", "told"),
    [("Test (Sec)", 60.0, "contradict"), ("Amp-hr", 1000.0, "contradict"), ("Amps", 10.0, "contradict")],
)
def test_a_column_in_another_unit_is_refused(tmp_path: Path, name: str, factor: float, told: str) -> None:
    """Capacity that is not the integral of current over time proves that one of the three is not what it is called."""

    def scale(cells: list[list[str]]) -> None:
        for row in cells:
            at = column(SECONDS, name)
            row[at] = f"{float(row[at]) * factor:.10f}"

    message = refusal(written(tmp_path, SECONDS.text(fixed_capacity(), scale)))
    assert told in message
    assert "times the integral" in message


def test_an_energy_column_that_is_no_energy_is_refused(tmp_path: Path) -> None:
    """Volts and energy must agree, or the voltage has no proven unit."""

    def scale(cells: list[list[str]]) -> None:
        for row in cells:
            row[column(SECONDS, "Watt-hr")] = f"{float(row[column(SECONDS, 'Watt-hr')]) * 7:.10f}"

    assert "energy column" in refusal(written(tmp_path, SECONDS.text(fixed_capacity(), scale)))


def test_a_step_that_lost_its_middle_is_refused_at_its_line(tmp_path: Path) -> None:
    """A counter that jumps within one step is found by the step's own integral."""

    def jump(cells: list[list[str]]) -> None:
        for row in cells[60:80]:
            row[column(SECONDS, "Amp-hr")] = f"{float(row[column(SECONDS, 'Amp-hr')]) + 0.12 * SET_Ah:.10f}"

    message = refusal(written(tmp_path, SECONDS.text(fixed_capacity(cycles=20), jump)))
    assert ":43:" in message
    assert "was integrated" in message


def test_a_nameless_time_unit_without_witness_is_refused(tmp_path: Path) -> None:
    """No current and no clock: whether rows are seconds or minutes apart cannot be known."""
    variant = next(one for one in VARIANTS if one.name == "MIMS, point, no unit")

    def silence(cells: list[list[str]]) -> None:
        del cells[40:]
        for row in cells:
            row[variant.header.index("DPT Time")] = ""

    assert "names no unit of time" in refusal(written(tmp_path, variant.text(fixed_capacity(), silence)))


def test_bad_cells_are_named_by_line_and_column(tmp_path: Path) -> None:
    """Words, empty cells, grouped thousands, short rows and time running back are refused where they stand."""
    rows = fixed_capacity()

    def put(line: int, name: str, text: str) -> str:
        def spoil(cells: list[list[str]]) -> None:
            cells[line - 3][column(SECONDS, name)] = text

        return refusal(written(tmp_path, SECONDS.text(rows, spoil)))

    assert f":50:{column(SECONDS, 'Volts') + 1}: not a number in column 'Volts', got 'x'" in put(50, "Volts", "x")
    assert ":50:" in put(50, "Amps", "")
    assert ":50:" in put(50, "Amp-hr", "nan")
    assert "decimal mark" in put(50, "Volts", "1,234.5")
    assert ":50:" in put(50, "Test (Sec)", "1.0")
    short = SECONDS.text(rows).split(b"\r\n")
    short[70] = short[70].rsplit(b"\t", 4)[0]
    assert ":71:0: 8 fields in a table of 12" in refusal(written(tmp_path, b"\r\n".join(short)))
    short[70] = b""
    assert ":71:0: an empty line between rows" in refusal(written(tmp_path, b"\r\n".join(short)))


def test_clock_trouble_is_told_and_never_moves_the_time_axis(tmp_path: Path) -> None:
    """The end of summer time, and a date lost at midnight, leave test time and charge as they are."""
    rows = fixed_capacity()
    whole = read_maccor_file(written(tmp_path, SECONDS.text(rows)))

    def fall_back(cells: list[list[str]]) -> None:
        from datetime import datetime, timedelta

        at = column(SECONDS, "DPt Time")
        for row in cells[100:]:
            when = datetime.strptime(row[at], "%m/%d/%Y %H:%M:%S") - timedelta(hours=1)  # noqa: DTZ007
            row[at] = when.strftime("%m/%d/%Y %H:%M:%S")
        cells[5][at] = cells[5][at][:10]

    export = read_maccor_file(written(tmp_path, SECONDS.text(rows, fall_back), "b.txt"))
    assert any("line 103: the clock was set back (summer time ended?)" in one for one in export.warnings)
    assert export.frame[bdf.TIME].to_list() == whole.frame[bdf.TIME].to_list()
    assert export.frame[bdf.NET].to_list() == whole.frame[bdf.NET].to_list()


def test_repeated_records_are_told(tmp_path: Path) -> None:
    """A record that stands there twice is reported with its line."""

    def repeat(cells: list[list[str]]) -> None:
        cells[61] = list(cells[60])

    export = read_maccor_file(written(tmp_path, SECONDS.text(fixed_capacity(), repeat)))
    assert any("line 64: record 61 is there again" in one for one in export.warnings)


def test_files_that_overlap_are_not_joined(tmp_path: Path) -> None:
    """Two exports of the same hours are no continuation of each other."""
    one, other = (written(tmp_path, SECONDS.text(fixed_capacity()), name) for name in ("a.txt", "b.txt"))
    with pytest.raises(InputError, match=r"before a\.txt ends"):
        read_maccor([one, other])


def test_columns_are_written_and_read_back(tmp_path: Path) -> None:
    """Parquet and CSV hold the same columns, and an existing file is never replaced."""
    frame = read_maccor_file(written(tmp_path, PLAIN.text(fixed_capacity())), time_zone="Europe/Amsterdam").frame
    assert bdf.UNIX in frame.columns
    assert pl.read_parquet(write_battery_data(frame, tmp_path / "cell.parquet")).equals(frame)
    assert pl.read_csv(write_battery_data(frame, tmp_path / "cell.csv")).columns == frame.columns
    for name, told in (("cell.csv", "exists"), ("cell.xlsx", "suffix")):
        with pytest.raises(InputError, match=told):
            write_battery_data(frame, tmp_path / name)
    with pytest.raises(InputError, match="time zone"):
        read_maccor_file(tmp_path / "cell.txt", time_zone="Mars/Olympus")


def read_or_refused(path: Path) -> MaccorExport | None:
    """Read a file; an InputError counts as nothing read, anything else raises."""
    try:
        return read_maccor_file(path)
    except InputError:
        return None


@ANY_FOLDER
@given(st.data(), st.sampled_from(VARIANTS))
def test_damaged_exports_raise_nothing_but_findings(tmp_path: Path, data: st.DataObject, variant: Variant) -> None:
    """Bytes cut, changed, doubled or thrown in are read or refused, never a traceback."""
    raw = bytearray(variant.text(fixed_capacity(points=8)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(raw) - 1)))
        match data.draw(st.sampled_from(["cut", "byte", "double", "drop"])):
            case "cut":
                del raw[at:]
            case "byte":
                raw[at : at + 1] = data.draw(st.binary(min_size=1, max_size=3))
            case "double":
                raw[at:at] = raw[at : at + 200]
            case _:
                del raw[at : at + data.draw(st.integers(1, 60))]
    read_or_refused(written(tmp_path, bytes(raw)))


@ANY_FOLDER
@given(st.binary(max_size=400), st.booleans())
def test_nonsense_is_no_export(tmp_path: Path, noise: bytes, headed: bool) -> None:
    """Random bytes, alone or below a header, are refused."""
    path = written(tmp_path, ("\t".join(PLAIN.header) + "\n").encode() + noise if headed else noise)
    assert headed or not is_maccor(path)
    read_or_refused(path)
    maccor_head(noise)


@ANY_FOLDER
@given(
    cycles=st.integers(1, 4),
    points=st.integers(3, 60),
    kept=st.floats(0.3, 1.0),
    variant=st.sampled_from(VARIANTS[:6]),
)
def test_charge_is_kept_whatever_the_sampling(
    tmp_path: Path, cycles: int, points: int, kept: float, variant: Variant
) -> None:
    """Charged less discharged is the net capacity, and both are what was put in, for any number of rows a step."""
    frame = read_maccor_file(written(tmp_path, variant.text(fixed_capacity(cycles, points, kept=kept)))).frame
    assert frame[bdf.CHARGED][-1] == pytest.approx(cycles * SET_Ah, rel=1e-5)
    assert frame[bdf.NET][-1] == pytest.approx(cycles * SET_Ah * (1 - kept), abs=1e-5 * cycles * SET_Ah)
    for name in (bdf.CHARGED, bdf.DISCHARGED, bdf.TIME, bdf.CYCLE):
        assert frame[name].is_sorted()
