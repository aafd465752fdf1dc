"""Impedance readers: real files, composed variants, refusals with their line, and nonsense."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.formats.impedance import ImpedanceSpectrum
from labctl.formats.impedance_file import impedance_dialect, read_impedance
from labctl.formats.nova_nox import read_nox
from tests.formats.nova_variants import FREQUENCY_HZ, VARIANTS, Z_OHM, columns, table, text_of
from tests.formats.nrbf_writer import recorded

ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def written(folder: Path, content: bytes | str, name: str = "sweep.dat") -> Path:
    """Write a file to be read."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refusal(folder: Path, content: bytes | str) -> tuple[int, str]:
    """Return the line and the message with which a file is refused."""
    path = written(folder, content)
    with pytest.raises(InputError) as caught:
        read_impedance(path)
    (finding,) = caught.value.findings
    assert finding.file == str(path)
    return finding.line, str(finding)


def read_or_refused(path: Path) -> tuple[ImpedanceSpectrum, ...]:
    """Read a file; refused with findings counts as nothing read, anything else raises."""
    try:
        return read_impedance(path)
    except InputError as problem:
        return () if problem.findings else read_impedance(path)


# ------------------------------------------------------------------------------------------------------- real files


@pytest.mark.real_data
def test_z60w_text_of_an_autolab(shared_data: Path) -> None:
    """Autolab's ZView text: 41 points, inductive first, Z'' with its natural sign."""
    (spectrum,) = read_impedance(shared_data / "eis" / "autolab-zview.txt")
    assert spectrum.dialect == "Z60W"
    assert spectrum.points == 41
    assert spectrum.frequency_Hz[[0, -1]].tolist() == [1e4, 0.1]
    assert spectrum.Z_ohm[0] == pytest.approx(0.0137859 + 0.0071919j, abs=1e-7)
    assert spectrum.Z_ohm[-1] == pytest.approx(0.0345698 - 0.0039029j, abs=1e-7)


@pytest.mark.real_data
def test_dfr_of_an_autolab_is_exactly_its_circuit(shared_data: Path) -> None:
    """The .dfr file holds R, RC and R parallel to a Warburg element to the last digit."""
    (spectrum,) = read_impedance(shared_data / "eis" / "autolab-fra.dfr")
    assert spectrum.dialect == "FRA dfr"
    assert spectrum.points == 29
    assert spectrum.Z_ohm[0] == pytest.approx(109.009 - 26.556j, abs=1e-3)
    assert spectrum.Z_ohm[-1] == pytest.approx(645.479 - 90.618j, abs=1e-3)
    s = 2j * np.pi * spectrum.frequency_Hz
    exact = 100 + 1 / (1 / 200 + 0.8e-6 * s) + 1 / (1 / 500 + 4e-4 * np.sqrt(s))
    assert np.abs(spectrum.Z_ohm / exact - 1).max() < 1e-12
    assert any("2022" in remark for remark in spectrum.remarks)


@pytest.mark.real_data
def test_nox_is_walked_to_the_last_byte(shared_data: Path) -> None:
    """A .nox of NOVA 1.10 gives its instrument, its commands and three 500-point signals, without any type loaded."""
    nox = read_nox(shared_data / "eis" / "nova-cp.nox")
    assert nox.instrument == "AUT88078"
    assert "FHLevelGalvanostatic" in nox.commands
    floats = {one.name: one for one in nox.signals if one.name in {"CalcTime", "EI_0.CalcPotential", "Correctedtime"}}
    assert {name: one.values.size for name, one in floats.items()} == dict.fromkeys(floats, 500)
    assert len(floats) == 3
    assert np.diff(floats["CalcTime"].values) == pytest.approx(0.01, abs=1e-6)


@pytest.mark.real_data
def test_nox_without_impedance_says_what_it_holds(shared_data: Path) -> None:
    """A chronopotentiometry is refused as impedance, with the signals that were recorded."""
    path = shared_data / "eis" / "nova-cp.nox"
    assert impedance_dialect(path) == "NOVA nox"
    with pytest.raises(InputError, match=r"no impedance.*CalcPotential \(500 values\)"):
        read_impedance(path)


@pytest.mark.real_data
@given(at=st.integers(0, 80_047), byte=st.integers(0, 255), cut=st.integers(0, 80_048))
@settings(parent=ANY_FOLDER, max_examples=60)
def test_a_damaged_nox_raises_nothing_but_input_errors(
    shared_data: Path, tmp_path: Path, at: int, byte: int, cut: int
) -> None:
    """Whatever byte is changed and wherever the file ends, it is read or refused."""
    raw = bytearray((shared_data / "eis" / "nova-cp.nox").read_bytes())
    raw[at] = byte
    path = written(tmp_path, bytes(raw[: max(cut, 20)]))
    read_or_refused(path)


def composed_nox(folder: Path, **changed: list[float]) -> Path:
    """Write a .nox with the signals the SDK names for an impedance measurement."""
    f, Z = FREQUENCY_HZ, Z_OHM
    signals = {
        "Index": ("", [float(i) for i in range(1, f.size + 1)]),
        "Frequency": ("Hz", f.tolist()),
        "Z'": ("Ω", Z.real.tolist()),
        "-Z''": ("Ω", (-Z.imag).tolist()),
        "Z": ("Ω", np.abs(Z).tolist()),
        "-Phase": ("°", (-np.degrees(np.angle(Z))).tolist()),
    }
    signals |= {name.replace("modulus", "Z"): ("Ω", values) for name, values in changed.items()}
    return written(folder, recorded(signals), "fra.nox")


def test_a_recorded_impedance_comes_out_of_a_nox(tmp_path: Path) -> None:
    """Signals of one command are joined by their names; lists are as long as they say, not as their room."""
    path = composed_nox(tmp_path)
    assert impedance_dialect(path) == "NOVA nox"
    (spectrum,) = read_impedance(path)
    assert spectrum.frequency_Hz.tolist() == FREQUENCY_HZ.tolist()
    assert np.abs(spectrum.Z_ohm / Z_OHM - 1).max() < 1e-12
    assert any("FIAMeasPotentiostatic" in remark for remark in spectrum.remarks)


def test_contradicting_signals_of_a_nox_are_refused(tmp_path: Path) -> None:
    """The cross-check of modulus holds for signals as for columns."""
    path = composed_nox(tmp_path, modulus=(1.02 * np.abs(Z_OHM)).tolist())
    with pytest.raises(InputError, match="contradict"):
        read_impedance(path)


# --------------------------------------------------------------------------------------------------- NOVA variants


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_reads_equal(tmp_path: Path, name: str) -> None:
    """Whatever separator, mark, encoding and columns, the same spectrum comes out to 1e-9."""
    variant = VARIANTS[name]
    path = written(tmp_path, variant.content)
    assert impedance_dialect(path) == "NOVA ASCII"
    spectra = read_impedance(path)
    assert len(spectra) == variant.spectra
    keep = list(variant.keep)
    for number, spectrum in enumerate(spectra):
        assert spectrum.block == number
        assert spectrum.frequency_Hz == pytest.approx(FREQUENCY_HZ[keep], rel=1e-9)
        assert np.abs(spectrum.Z_ohm / Z_OHM[keep] - 1).max() < 1e-9


def test_left_out_points_and_extra_columns_are_told(tmp_path: Path) -> None:
    """A row without finite numbers leaves a remark with its line; columns nobody asked for are kept."""
    (spectrum,) = read_impedance(written(tmp_path, VARIANTS["an infinity sign in a cell"].content))
    assert any(remark.startswith("line 5:") for remark in spectrum.remarks)
    (spectrum,) = read_impedance(written(tmp_path, VARIANTS["trailing calculated columns"].content))
    assert spectrum.extra["OCP value (V)"] == pytest.approx(0.012)
    assert spectrum.time_s is not None
    assert spectrum.time_s[1] == 6.5


def test_an_index_that_restarts_begins_a_spectrum(tmp_path: Path) -> None:
    """A sweep down and one up, with the index begun anew, are two spectra though the frequency never jumps."""
    down = table(";", columns())
    names, *rows = down.splitlines()
    up = [f"{number};{row.partition(';')[2]}" for number, row in enumerate(reversed(rows), start=1)]
    first, second = read_impedance(written(tmp_path, "\n".join([names, *rows, *up])))
    assert first.frequency_Hz.tolist() == second.frequency_Hz[::-1].tolist()


def test_a_column_that_cannot_be_checked_is_told(tmp_path: Path) -> None:
    """Cells without a number in the modulus column spare the points, and the reader says what it did not check."""
    lines = table(";", columns()).splitlines()
    cells = lines[7].split(";")
    cells[4] = "∞"
    lines[7] = ";".join(cells)
    (spectrum,) = read_impedance(written(tmp_path, "\n".join(lines)))
    assert spectrum.points == len(FREQUENCY_HZ)
    assert any("1 cell(s) hold no number" in remark for remark in spectrum.remarks)


def test_rounded_columns_do_not_contradict(tmp_path: Path) -> None:
    """Three digits in each column are rounding, not contradiction."""
    rounded = [
        (name, lambda i, cell=cell: f"{float(cell(i)):.3g}" if float(cell(i)) % 1 else cell(i))
        for name, cell in columns()
    ]
    (spectrum,) = read_impedance(written(tmp_path, table(";", rounded)))
    assert np.abs(spectrum.Z_ohm / Z_OHM - 1).max() < 0.01


# -------------------------------------------------------------------------------------------------------- refusals


def test_contradicting_modulus_is_refused_at_its_line(tmp_path: Path) -> None:
    """A modulus that is not that of its row names the row."""
    lines = table(";", columns()).splitlines()
    cells = lines[7].split(";")
    cells[4] = text_of(float(cells[4]) * 1.01)
    lines[7] = ";".join(cells)
    line, message = refusal(tmp_path, "\n".join(lines))
    assert line == 8
    assert "contradict" in message


def test_a_lost_minus_in_the_header_is_refused(tmp_path: Path) -> None:
    """Z'' that should have been -Z'' contradicts the phase, at the first point."""
    line, message = refusal(tmp_path, table(";", columns()).replace("-Z''", "Z''"))
    assert line == 2
    assert "phase" in message


def test_decimal_commas_between_commas_are_refused(tmp_path: Path) -> None:
    """A comma that separates cannot be the decimal mark too: the rows are wider than the header."""
    line, message = refusal(tmp_path, table(",", columns(",")))
    assert line == 2
    assert "decimal mark" in message


def test_marks_that_could_be_groups_are_refused(tmp_path: Path) -> None:
    """Where every comma could group thousands or begin decimals, nothing is guessed."""
    header = "Frequency (Hz);Z' (Ω);-Z'' (Ω)\n"
    line, message = refusal(tmp_path, header + "1,000;2,000;3,000\n100;2,500;3,500\n")
    assert line == 2
    assert "decimal mark" in message
    (spectrum,) = read_impedance(written(tmp_path, header + "1,000;0,200;3,000\n100;2,500;3,500\n"))
    assert spectrum.frequency_Hz.tolist() == [1.0, 100.0]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("Frequency (Hz);Z' (Ω);-Z'' (Ω)\n1;2;x\n2;3;4\n", 2, "not a number"),
        ("Frequency (Hz);Z' (Ω cm²);-Z'' (Ω cm²)\n1;2;3\n", 1, "unit"),
        ("Frequency (Hz);Z' (Ω);Z' (Ω);-Z'' (Ω)\n1;2;3;4\n", 1, "stands twice"),
        ("Frequency (Hz);Z' (Ω);-Z'' (Ω)\n0;2;3\n", 2, "not positive"),
        ("Frequency (Hz);Z (Ω);Phase\n1;2;45\n", 2, "unit of the phase"),
        ("Frequency (Hz);Z' (Ω);-Z'' (Ω);Z'' (Ω)\n1;2;3;3\n", 2, "contradict"),
        ("Frequency (Hz);Z' (Ω);-Z'' (Ω)\n", 1, "no header|no points"),
        ("Frequency (Hz);Z' (Ω);-Z'' (Ω)\n1;2;3\n4;5\n6;7;8\n", 3, "2 fields below a header of 3"),
        ("WE(1).Potential (V);WE(1).Current (A);Time (s)\n1;2;3\n", 1, "without frequencies"),
        ("hello\nworld\n", 1, "no header"),
        ("", 1, "no header"),
        ("VERSION8.0\n 2\n 1\n 1.0\n", 5, "need 18 lines"),
        ("VERSION8.0\n many\n", 2, "number of points"),
        ('"Z60W Data File: Version 1.1"\n1\n"  Freq (Hz)  Z\'(a)  Z\'\'(b)"\n1,2,x\n', 4, "not a number"),
        ('"Z60W Data File: Version 1.1"\n1\n"  Freq (Hz)  Z\'(a)  Z\'\'(b)"\n1,2,3\n2,3,4\n', 5, "more rows"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_line(tmp_path: Path, content: str, line: int, said: str) -> None:
    """Each refusal names the line and what is wrong there."""
    at, message = refusal(tmp_path, content)
    assert re.search(said, message)
    assert at == line


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    """No file, no traceback; and it is of no dialect."""
    with pytest.raises(InputError, match="cannot be read"):
        read_impedance(tmp_path / "nothing.txt")
    assert impedance_dialect(tmp_path / "nothing.txt") is None


# --------------------------------------------------------------------------------------------------------- sidecar


def test_a_sidecar_adds_what_the_export_leaves_out(tmp_path: Path) -> None:
    """Temperatures, amplitude with its kind, ranges, flags, noise and pellet come from the sidecar."""
    path = written(tmp_path, table(";", columns()))
    points = len(FREQUENCY_HZ)
    data = {
        "instrument": "PGSTAT302N AUT12345",
        "temperature_K": {"mean": 298.2, "before": 298.1, "after": 298.3, "se": 0.1},
        "amplitude_V_rms": 0.005,
        "started_s": 1.7e9,
        "current_range_A": [1e-6] * points,
        "overload": [False] * (points - 1) + [True],
        "moved": False,
        "current_noise_A": 3e-12,
        "pellet": {"thickness_mm": 1.28, "diameter_mm": 10, "thickness_se_mm": 0.02},
        "points_per_decade": 10,
    }
    (tmp_path / "sweep.eis.json").write_text(json.dumps(data), encoding="utf-8")
    (spectrum,) = read_impedance(path)
    assert (spectrum.temperature_K, spectrum.temperature_before_K, spectrum.temperature_se_K) == (298.2, 298.1, 0.1)
    assert (spectrum.amplitude_V, spectrum.amplitude_kind) == (0.005, "rms")
    assert spectrum.overload is not None
    assert spectrum.overload.sum() == 1
    assert spectrum.pellet is not None
    assert spectrum.pellet.diameter_mm == 10
    assert spectrum.metadata == {"points_per_decade": 10}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("[1]", "no JSON object"),
        ("{", "not JSON"),
        ('{"temperature_K": "warm"}', "temperature_K"),
        ('{"temperature_K": -3}', "temperature_K"),
        ('{"overload": [true]}', "overload"),
        ('{"amplitude_V_rms": 0.005, "amplitude_V_peak": 0.007}', "one amplitude"),
        ('{"moved": "no"}', "moved"),
        ('{"pellet": 3}', "pellet"),
        ('{"spectra": [{}, {}]}', "spectra"),
        ('{"started_s": 1e999}', "started_s"),
    ],
)
def test_a_wrong_sidecar_is_refused_by_its_key(tmp_path: Path, data: str, said: str) -> None:
    """A value of the wrong kind names file and key."""
    path = written(tmp_path, table(";", columns()))
    written(tmp_path, data, "sweep.eis.json")
    with pytest.raises(InputError, match=said):
        read_impedance(path)


def test_points_left_out_leave_lists_per_point_out_of_step(tmp_path: Path) -> None:
    """A sidecar with an entry for every measured point fits a file of which a row was left out."""
    path = written(tmp_path, VARIANTS["an infinity sign in a cell"].content)
    ranges = [10.0**-n for n in range(len(FREQUENCY_HZ))]
    written(tmp_path, json.dumps({"current_range_A": ranges}), "sweep.eis.json")
    (spectrum,) = read_impedance(path)
    assert spectrum.current_range_A is not None
    assert spectrum.current_range_A.tolist() == [one for at, one in enumerate(ranges) if at != 3]


# -------------------------------------------------------------------------------------------------------- nonsense

PIECES = [
    "Frequency (Hz)",
    "Z' (Ω)",
    "-Z'' (Ω)",
    "Z (Ω)",
    "-Phase (°)",
    "Index",
    ";",
    ",",
    "\t",
    "\n",
    "1",
    "0,5",
    "1e9",
    "∞",
]
PIECES += [
    "-",
    '"',
    "NaN",
    " ",
    ".",
    "1.2.3",
    "9" * 400,
    "VERSION8.0\n",
    '"Z60W Data File: Version 1.1"\n',
    "3/4/2023",
    "\r",
]


@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=60).map("".join).map(str.encode)))
@settings(parent=ANY_FOLDER, max_examples=150)
def test_nonsense_raises_nothing_but_input_errors(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds, it is read or refused with a finding."""
    path = written(tmp_path, content)
    impedance_dialect(path)
    spectra = read_or_refused(path)
    assert all(np.isfinite(one.Z_ohm).all() and (one.frequency_Hz > 0).all() for one in spectra)


@given(
    name=st.sampled_from(sorted(VARIANTS)),
    edits=st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=3)), min_size=1, max_size=4),
)
@settings(parent=ANY_FOLDER, max_examples=80)
def test_a_damaged_export_raises_nothing_but_input_errors(
    tmp_path: Path, name: str, edits: list[tuple[int, bytes]]
) -> None:
    """A good export with bytes replaced is read or refused."""
    raw = bytearray(VARIANTS[name].content)
    for at, new in edits:
        raw[at % len(raw) : at % len(raw) + len(new)] = new
    path = written(tmp_path, bytes(raw))
    read_or_refused(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
    )
)
@settings(parent=ANY_FOLDER, max_examples=15)
def test_a_sidecar_of_nonsense_raises_nothing_but_input_errors(tmp_path: Path, value: object) -> None:
    """Any value under any key is understood or refused."""
    path = written(tmp_path, table(";", columns()))
    for key in (
        "temperature_K",
        "amplitude_V",
        "current_range_A",
        "overload",
        "remarks",
        "pellet",
        "spectra",
        "sample",
    ):
        written(tmp_path, json.dumps({key: value}), "sweep.eis.json")
        read_or_refused(path)
