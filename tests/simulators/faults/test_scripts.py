"""One script format for all simulators: read with its places, held against a whole lab, and told in one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import labctl_sim_faults.__main__ as command
from labctl.errors import InputError
from labctl_sim_faults import FaultKind, Parameter, check_script, read_script, registry
from labctl_sim_faults._table import with_table

Stations = Mapping[str, tuple[str, Mapping[str, Any]]]

ONE: Stations = {"nmr500": ("topspin", {})}
THREE: Stations = {
    **ONE,
    "autolab": ("autolab", {"oven": {"controller": "lakeshore"}}),
    "maccor": ("maccor", {}),
}
OVEN = {"autolab": THREE["autolab"]}


def written(folder: Path, *lines: str) -> Path:
    """A script of these entries, the first of them in line 3."""
    path = folder / "faults.yaml"
    path.write_text("version: 1\nfaults:\n" + "".join(f"  - {{{line}}}\n" for line in lines), encoding="utf-8")
    return path


def complaints(folder: Path, stations: Stations, *lines: str) -> list[str]:
    """Hold a script against a lab and return what is wrong with it."""
    with pytest.raises(InputError) as caught:
        check_script(written(folder, *lines), stations)
    return [str(finding) for finding in caught.value.findings]


def test_every_simulator_declares_its_faults() -> None:
    """Each installed simulator has faults, and each fault says what happens."""
    known = registry()
    assert set(known) == {"autolab", "eurotherm", "lakeshore", "maccor", "topspin"}
    for declared in known.values():
        assert declared.kinds
        assert declared.station
        assert all(kind.what for kind in declared.kinds.values())


def test_the_readme_holds_the_table() -> None:
    """The table of faults in the README is what `python -m labctl_sim_faults` makes of the registry."""
    assert command.main(["--check"]) == 0


def test_the_command_writes_the_table(tmp_path: Path) -> None:
    """A README whose table is old is found out, and made new in place; the text around it stays."""
    readme = tmp_path / "README.md"
    kept = command.README.read_text(encoding="utf-8")
    readme.write_text(kept.replace("heater_trip", "heater_tripped"), encoding="utf-8")
    assert command.main([str(readme), "--check"]) == 1
    assert command.main([str(readme)]) == 0
    told = readme.read_text(encoding="utf-8")
    assert "`heater_trip`" in told.partition("<!-- faults")[2]
    assert told.partition("## The simulated console")[0] == kept.partition("## The simulated console")[0]
    with pytest.raises(ValueError, match="no <!-- faults"):
        with_table("# Simulators", registry())


def test_every_fault_of_every_simulator_can_be_written(tmp_path: Path) -> None:
    """Each fault with the examples of its own parameters passes the check of a lab that has its instrument."""
    for instrument, declared in registry().items():
        lines = []
        for name, kind in declared.kinds.items():
            takes = "".join(f", {key}: {parameter.example}" for key, parameter in kind.parameters.items())
            lines.append(f"fault: {name}, at: 1 h{', for: 5 min' if kind.lasts else ''}{takes}")
        entries = check_script(written(tmp_path, *lines), {"here": (instrument, {})})
        assert [entry.kind for entry in entries] == list(declared.kinds)
        assert {entry.at_s for entry in entries} == {3600.0}
        assert all(entry.place.endswith(f"faults.yaml:{line}") for line, entry in enumerate(entries, 3))


def test_one_script_serves_three_stations(tmp_path: Path) -> None:
    """Each simulator takes its own lines, the oven of a station those that name it, and the check takes all."""
    path = written(
        tmp_path,
        "fault: gas_loss, station: nmr500, at: 1 h",
        "fault: usb_gone, station: autolab, at: 2 h",
        "fault: power_dip, station: autolab.oven, at: 3 h",
        "fault: short, station: maccor, at: 4 h",
    )
    assert [entry.at_s for entry in check_script(path, THREE)] == [3600.0, 7200.0, 10800.0, 14400.0]
    known = registry()
    for station, instrument, at_s in (("nmr500", "topspin", 3600.0), ("autolab.oven", "lakeshore", 10800.0)):
        (entry,) = read_script(path, known[instrument].kinds, station=station, named="." in station)
        assert entry.at_s == at_s


@pytest.mark.parametrize(
    ("stations", "line", "says"),
    [
        (ONE, "fault: heater_tripp, at: 1 h", "did you mean heater_trip?"),
        (ONE, "fault: gas_loss, at: 1 h, fro: 2 h", "did you mean for?"),
        (ONE, "fault: gas_loss, during: {titel: tmix}", "did you mean title?"),
        (ONE, "fault: gas_loss, at: 1 h, station: nmr50", "did you mean nmr500?"),
        (ONE, "fault: gas_loss, at: 1 h, station: 3", "is no station that is simulated"),
        (ONE, "fault: short, at: 1 h", "is not a fault of nmr500"),
        (ONE, "fault: gas_loss, at: soon", "soon"),
        (ONE, "fault: gas_loss, during: {title: 3}", "is not text"),
        (ONE, "fault: gas_loss, during: {after: 3 s}", "does not name what it waits for"),
        (THREE, "fault: gas_loss, at: 1 h", "station: nmr500"),
        (THREE, "fault: nonsense, at: 1 h", "station: nmr500 or station: autolab or station: autolab.oven"),
        (THREE, "fault: short, at: 1 h, during: {title: x}, station: maccor", "is not a key of short"),
        (THREE, "fault: reply_lost, at: 1 h, function: [6], station: maccor", "such as [6, 2]"),
        (THREE, "fault: resistance, at: 1 h, by: 3 ohm, station: maccor", "is not a number"),
        (OVEN, "fault: welded_relay, at: 1 h", "station: autolab.oven"),
    ],
)
def test_what_nobody_would_carry_out_is_refused(tmp_path: Path, stations: Stations, line: str, says: str) -> None:
    """A line that every simulator would pass over or refuse is named with its place and what was meant."""
    (told,) = complaints(tmp_path, stations, line)
    assert says in told
    assert told.startswith(f"{tmp_path / 'faults.yaml'}:3:")


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    """Every broken line is told, not the first alone."""
    told = complaints(tmp_path, ONE, "fault: x, at: 1 h", "fault: halt, at: 1 h", "fault: halt", "at: 1 h")
    assert [line.split("faults.yaml:")[1].split(":")[0] for line in told] == ["3", "5", "6"]


def test_defaults_and_options(tmp_path: Path) -> None:
    """A parameter with a default need not be given, an optional one is left out, any other is asked for."""
    kinds = {
        "a": FaultKind(
            what="x",
            parameters={
                "by": Parameter(what="size", unit="K", example="3 K", default=2.0, difference=True),
                "pair": Parameter(what="pair", form="function", example="[1, 2]", optional=True),
                "much": Parameter(what="size", form="number", example="3", signed=True),
            },
        )
    }
    (entry,) = read_script(written(tmp_path, "fault: a, at: 1 s, much: -4"), kinds, station="")
    assert (entry.number("by"), entry.pair("pair"), entry.number("much")) == (2.0, None, -4.0)
    (entry,) = read_script(written(tmp_path, "fault: a, at: 1 s, much: 1, by: 1 K, pair: [3, 4]"), kinds, station="")
    assert (entry.number("by"), entry.pair("pair")) == (1.0, (3, 4))
    with pytest.raises(InputError, match="a needs much:"):
        read_script(written(tmp_path, "fault: a, at: 1 s"), kinds, station="")
