"""Commissioning stages before they are signed: what their protocols must say, and how far they may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl.plan.check import examine
from labctl.protocol.commissioning import RULES
from labctl.protocol.lab import COMMISSIONING, Lab, refuse_unless_ready, still_unsigned
from labctl.protocol.load import load_lab, load_protocol
from labctl.protocol.model import Protocol

STAGES = Path(__file__).parents[2] / "protocols" / "commissioning"
SHIPPED = sorted(path for path in STAGES.glob("*.yaml") if path.name != "first_day.yaml")


@pytest.fixture(scope="module")
def first_day() -> Lab:
    """The lab in which nothing is signed."""
    return load_lab(STAGES / "first_day.yaml").model


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_stages_are_right(path: Path, first_day: Lab, protocols: Path) -> None:
    """Each checks without a word but on earlier signatures, can be planned, and its sample file is there."""
    loaded = load_protocol(path)
    found = examine(loaded.model, first_day, places=loaded.located)
    assert found.plan is not None
    assert all("stages not signed" in finding.what for finding in found.findings), list(map(str, found.findings))
    assert (protocols / "samples" / f"{loaded.model.sample.simulated_as}.yaml").is_file()


def test_every_stage_has_a_protocol(first_day: Lab) -> None:
    """No stage that a real run of the three instruments wants is without one, nor any part of a stage."""
    shipped: dict[str, set[tuple[str, str]]] = {}
    for path in SHIPPED:
        model = load_protocol(path).model
        assert model.commissioning is not None
        driver = first_day.stations[model.procedures[0].wanted.station].driver
        shipped.setdefault(driver, set()).add((model.commissioning.stage, model.commissioning.part))
    for driver, stages in shipped.items():
        assert stages == {
            (stage, part) for stage in COMMISSIONING[driver] for part in RULES[driver][stage].parts or [""]
        }
    assert shipped.keys() == {station.driver for station in first_day.stations.values()}
    assert all(RULES[driver].keys() == COMMISSIONING[driver].keys() for driver in COMMISSIONING)


def told(name: str, first_day: Lab, *changes: tuple[str, str]) -> str:
    """Return what is wrong with a shipped stage after some changes of its text."""
    from labctl import located_yaml
    from labctl.protocol.load import read

    text = (STAGES / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    try:
        model = read(Protocol, located_yaml.loads(text, file=name))
    except InputError as problem:
        return str(problem)
    return "\n".join(str(one) for one in examine(model, first_day).findings if one.severity == "error")


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("autolab_rc_dummy_cell", "[30 degC]", "[80 degC]", "goes to 80.0 °C; at most 40.0 °C"),
        ("autolab_overnight", "ramp: 2 K/min", "ramp: 0.05 K/min", "takes"),
        (
            "autolab_rc_dummy_cell",
            "    dummy_cell: {R: 100 kohm, C: 1 nF, within: 5 %}",
            "    ended: done",
            "dummy_cell",
        ),
        ("autolab_rc_dummy_cell", "stage: rc_dummy_cell", "stage: rc_dumy_cell", "did you mean 'rc_dummy_cell'?"),
        ("autolab_overnight", "lasted: 8 h", "lasted: 1 h", "at least 8 h"),
        ("maccor_guard_time", "part: time", "part: tim", "did you mean 'time'?"),
        ("maccor_resistor", "R: 1 kohm", "R: 1 kg", "not a unit of this kind"),
        ("maccor_resistor", "  stage: resistor", "  stage: resistor\n  part: time", "no run that the stage"),
    ],
)
def test_a_stage_is_held_to_what_it_is(name: str, old: str, new: str, words: str, first_day: Lab) -> None:
    """Hotter, longer, without what it is signed by, misspelt: each is an error with what would be right."""
    assert words in told(name, first_day, (old, new))


def test_stages_are_signed_in_order(first_day: Lab) -> None:
    """A run that commissions a stage wants those before it, and neither itself nor those behind it."""
    for name, station in first_day.stations.items():
        stages = tuple(COMMISSIONING[station.driver])
        assert station.unsigned() == still_unsigned(station) == stages
        for number, stage in enumerate(stages):
            assert still_unsigned(station, stage) == stages[:number]
        refuse_unless_ready(first_day, name, stages[0])
        assert still_unsigned(station, "no such stage") == stages


def test_what_simulators_signed_counts_nothing_for_real(protocols: Path) -> None:
    """A lab file that is made real by taking `simulated` out has no stage signed, whatever SIM stands in it."""
    for station in load_lab(protocols / "labs" / "simulated.yaml").model.stations.values():
        assert station.unsigned() == ()
        real = station.model_copy(update={"simulated": False})
        assert real.unsigned() == tuple(COMMISSIONING[station.driver])
