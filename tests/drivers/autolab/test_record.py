"""What a sweep leaves on disk can be read again, however it was cut."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import ForeignDataError, InputError
from labctl.formats.impedance_file import read_impedance
from labctl_autolab._files import CHECKPOINT, ResultFolder, stem
from labctl_autolab._judge import is_open
from labctl_autolab._record import (
    Point,
    Rig,
    Sweep,
    Temperature,
    begun,
    head_line,
    nova_text,
    point_line,
    read_checkpoint,
    sidecar,
    temperature_line,
    value_line,
)
from tests.drivers.autolab.bench import order_of, sweep_task

ORDER = order_of(sweep_task())
finite = st.floats(-1e12, 1e12).filter(lambda value: abs(value) > 1e-6)
points = st.builds(
    Point,
    frequency_Hz=st.floats(1e-3, 1e6),
    Z_real_ohm=finite,
    Z_imag_ohm=finite,
    at_s=st.floats(1.7e9, 1.8e9),
    range_A=st.none() | st.sampled_from([1e-8, 1e-3]),
    overload=st.none() | st.booleans(),
    remark=st.text(max_size=20),
)
temperatures = st.builds(
    Temperature,
    at_s=st.floats(1.7e9, 1.8e9),
    oven_K=st.floats(200, 500),
    cell_K=st.none() | st.floats(200, 500),
)


def lines_of(sweep: Sweep) -> list[str]:
    """Return the checkpoint that a sweep leaves."""
    lines = [head_line(sweep), *map(temperature_line, sweep.temperatures), *map(point_line, sweep.points)]
    lines += [value_line(note=note) for note in sweep.notes]
    if sweep.bias_V is not None:
        lines.append(value_line(bias_V=sweep.bias_V))
    return lines


@given(
    found=st.lists(points, max_size=6),
    read=st.lists(temperatures, max_size=4),
    bias_V=st.none() | st.floats(-10, 10),
    notes=st.lists(st.text(max_size=20), max_size=2),
)
def test_a_checkpoint_gives_the_sweep_back(
    found: list[Point], read: list[Temperature], bias_V: float | None, notes: list[str]
) -> None:
    """Every field comes back bit for bit from the lines of a checkpoint."""
    sweep = replace(
        begun(ORDER, route="direct", at_s=1.7e9),
        points=tuple(found),
        temperatures=tuple(read),
        bias_V=bias_V,
        notes=tuple(notes),
    )
    assert read_checkpoint("\n".join(lines_of(sweep)) + "\n") == sweep


@given(found=st.lists(points, min_size=1, max_size=6), cut=st.integers(0, 2000))
def test_a_checkpoint_cut_anywhere_gives_its_whole_points(found: list[Point], cut: int) -> None:
    """A computer that dies in the middle of a line loses that line and no more."""
    sweep = replace(begun(ORDER, route="direct", at_s=1.7e9), points=tuple(found))
    text = "\n".join(lines_of(sweep)) + "\n"
    left = text.encode("utf-8")[:cut].decode("utf-8", errors="replace")
    again = read_checkpoint(left)
    whole = left.count("\n")
    if again is None:
        assert whole == 0
    else:
        assert len(again.points) >= whole - 1
        assert again.points == sweep.points[: len(again.points)]


def test_a_checkpoint_begun_again_is_that_of_the_last_beginning() -> None:
    """A token that was prepared, and begun again after a death, has one sweep: the later one."""
    first = begun(ORDER, route="direct", at_s=1.0)
    second = begun(ORDER, route="direct", at_s=2.0)
    text = "\n".join([head_line(first), value_line(bias_V=0.1), head_line(second)])
    assert read_checkpoint(text) == second


@given(cut=st.integers(0, 400))
def test_a_head_cut_anywhere_costs_the_next_beginning_nothing(cut: int) -> None:
    """A sweep begun again below a head that a death cut off is read from its own head on."""
    first = begun(ORDER, route="direct", at_s=1.0)
    second = begun(ORDER, route="direct", at_s=2.0)
    with tempfile.TemporaryDirectory() as folder:
        results = ResultFolder(Path(folder), "autolab", durable=False)
        (Path(folder) / f"cell{CHECKPOINT}").write_text(head_line(first)[:cut], encoding="utf-8")
        results.begin("cell", second)
        assert results.checkpoint("cell") == second


def test_a_checkpoint_of_another_version_is_refused() -> None:
    """An unknown field is said, not guessed."""
    with pytest.raises(InputError, match="another version"):
        read_checkpoint('{"sweep": {"token": "x", "colour": "blue"}}')


@given(found=st.lists(points.filter(lambda point: point.modulus_ohm > 1e-3), min_size=1, max_size=8))
def test_the_text_is_read_back_by_anybody_s_reader(
    found: list[Point], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is written as NOVA writes it is read equal to nine digits, its own cross-checks included."""
    unique = {round(math.log(point.frequency_Hz), 4): point for point in found}
    ordered = tuple(unique[key] for key in sorted(unique, reverse=True))
    sweep = replace(begun(ORDER, route="direct", at_s=1.7e9), points=ordered)
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text(nova_text(sweep), encoding="utf-8", newline="")
    [spectrum] = read_impedance(path)
    assert spectrum.Z_ohm.real == pytest.approx([point.Z_real_ohm for point in ordered], rel=1e-8)
    assert spectrum.Z_ohm.imag == pytest.approx([point.Z_imag_ohm for point in ordered], rel=1e-8)


def test_the_mean_temperature_has_the_error_of_a_drift() -> None:
    """A temperature that crept evenly by 1 K is known to 1 K over the square root of twelve."""
    read = tuple(Temperature(at_s=1.7e9 + n, oven_K=300.0 + n / 100) for n in range(101))
    sweep = replace(begun(ORDER, route="direct", at_s=1.7e9), temperatures=read)
    data = sidecar(sweep, sweep_task(), Rig(instrument="x"), open_cell=False)
    assert data["temperature_K"] == pytest.approx({"mean": 300.5, "before": 300.0, "after": 301.0, "se": 1 / 12**0.5})
    assert data["moved"] is True
    assert data["temperature_of"] == "oven"


@pytest.mark.parametrize(("current_A", "is_one"), [(79e-9, False), (62e-9, True), (1e-15, True)])
def test_an_open_cell_passes_what_its_holder_does(current_A: float, is_one: bool) -> None:
    """At 100 kHz and 5 mV, 20 pF pass 63 nA: no more than that is an open cell, a quarter more is a pellet."""
    point = Point(frequency_Hz=1e5, Z_real_ohm=0.0, Z_imag_ohm=-5e-3 / current_A, at_s=0.0)
    rig = Rig(instrument="x", open_capacitance_F=20e-12, open_leakage_ohm=1e12)
    assert is_open([point], sweep_task(), rig) is is_one


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A result whose name is taken by other data raises; an equal one is left as it is."""
    folder = ResultFolder(tmp_path, "autolab", durable=True)
    sweep = replace(
        begun(ORDER, route="direct", at_s=1.0),
        points=(Point(frequency_Hz=1.0, Z_real_ohm=1.0, Z_imag_ohm=-1.0, at_s=2.0),),
    )
    folder.write("a", sweep, {"title": "t"})
    folder.write("a", sweep, {"title": "t"})
    with pytest.raises(ForeignDataError):
        folder.write("a", sweep, {"title": "other"})
    assert folder.title_of("a") == "t"


@pytest.mark.parametrize("name", ["../up", "a b", "", "x" * 80, "-x", "a/b", "a;b"])
def test_a_name_that_is_no_file_s_is_refused(name: str) -> None:
    """Nothing a protocol says reaches a path unchecked."""
    with pytest.raises(InputError, match="cannot name a file"):
        stem(order_of(sweep_task(name=name)))
