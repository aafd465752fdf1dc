"""Every fault of oven, potentiostat and cycler, in every phase of their work, ends in the reaction it declares."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.run.engine import CampaignOutcome
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions
from labctl_sim_faults import FaultKind, Reaction, registry
from tests.unattended.side_by_side import CYCLER, LADDER, LIMITS, POLL_S, START_S, Controller, SideBySide
from tests.unattended.strikes import CELL_PHASES, LADDER_PHASES, Course, Ending, left_by, let_loose, said_of

KNOWN = registry()
_WIRE_S = 1.0
"""What a poll itself takes on the wire."""


@dataclass(frozen=True)
class Victim:
    """One instrument whose faults are let loose: where scripts find it, and with which oven beside it."""

    instrument: str
    at: str
    controller: Controller
    phases: tuple[str, ...]

    @property
    def station(self) -> str:
        return self.at.partition(".")[0]

    @property
    def kinds(self) -> dict[str, FaultKind]:
        return dict(KNOWN[self.instrument].kinds)


VICTIMS = {
    "lakeshore": Victim("lakeshore", f"{LADDER}.oven", "lakeshore", LADDER_PHASES),
    "eurotherm": Victim("eurotherm", f"{LADDER}.oven", "eurotherm", LADDER_PHASES),
    "autolab": Victim("autolab", LADDER, "lakeshore", LADDER_PHASES),
    "maccor": Victim("maccor", CYCLER, "lakeshore", CELL_PHASES),
}

SAMPLE = (
    ("lakeshore", "welded_relay", "heating"),
    ("lakeshore", "local_mode", "last point"),
    ("lakeshore", "line_held", "between steps"),
    ("lakeshore", "reply_late", "nobody there"),
    ("eurotherm", "power_dip", "settling"),
    ("eurotherm", "door_open", "soaking"),
    ("eurotherm", "sensor_break", "cooling back"),
    ("autolab", "usb_gone", "mid sweep"),
    ("autolab", "nova_holds", "recovery"),
    ("autolab", "open_cell", "first point"),
    ("autolab", "short_cell", "soaking"),
    ("maccor", "channel_stolen", "charging"),
    ("maccor", "safety_trip", "between polls"),
    ("maccor", "power_failure", "nobody there"),
    ("maccor", "short", "discharging"),
    ("maccor", "start_refused", "start"),
    ("maccor", "reply_garbled", "resting"),
    ("maccor", "suspended", "end"),
    ("maccor", "forced_step", "recovery"),
    ("maccor", "refuses", "nobody there"),
)
"""One campaign for each phase, and what most often happens; `-m slow` takes the whole product."""
ALL = [(who, name, phase) for who, victim in VICTIMS.items() for name in victim.kinds for phase in victim.phases]


@pytest.fixture(scope="module")
def courses(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Controller], Course]:
    """Undisturbed work, made when it is first asked for."""

    class Courses(dict[tuple[str, Controller], Course]):
        def __missing__(self, key: tuple[str, Controller]) -> Course:
            lab = SideBySide(folder=tmp_path_factory.mktemp("undisturbed"), struck=key[0], controller=key[1])
            outcome = lab.run()
            assert isinstance(outcome, CampaignOutcome)
            assert outcome.exit_code == 0
            self[key] = Course.of(lab)
            return self[key]

    return Courses()


def check(ending: Ending, victim: Victim, name: str, phase: str, course: Course) -> None:
    """Hold what happened to what is declared."""
    kind = victim.kinds[name]
    declared = kind.otherwise.get(phase, kind.reaction)
    if declared is Reaction.RETRY:
        assert ending.reaction is Reaction.NOTHING, ending.said
    else:
        assert ending.reaction is declared, ending.said
    if declared is kind.reaction and kind.message:
        assert kind.message in ending.said
    if declared in {Reaction.SAFE, Reaction.PAUSE, Reaction.NEW_ATTEMPT}:
        assert ending.said, "people are told"
        if declared is kind.reaction and kind.within_s:
            absent_s = 240.0 if phase == "nobody there" else 0.0
            assert ending.noticed_s + ending.reacted_s <= kind.within_s + absent_s
        else:
            assert ending.reacted_s <= 2.0 * POLL_S + _WIRE_S
    _is_left_as_it_must(ending, victim, name, declared)
    _sister_untouched(ending.lab, victim.station, course)
    _nothing_lost(ending.lab)


def _is_left_as_it_must(ending: Ending, victim: Victim, name: str, declared: Reaction | None) -> None:
    """Heat and current are off in the end, but where labctl cannot take them away and says so."""
    lab, station = ending.lab, victim.station
    if declared is Reaction.SAFE and lab.phase(station) is StationPhase.UNCONFIRMED:
        if name != "welded_relay":  # whose driver tells at once what to switch off
            told = said_of(lab, station)
            called_out_s = min(at_s for at_s, text in told if "could not be made safe" in text)
            assert called_out_s - told[0][0] <= EngineOptions().unheard_safe_s + 2.0 * POLL_S
    elif declared in {Reaction.SAFE, Reaction.PAUSE}:
        assert ending.safe_s < math.inf
        assert lab.is_safe(station)


def _sister_untouched(lab: SideBySide, station: str, course: Course) -> None:
    """The other station has gone on to its end as if nothing had been, and nobody was called to it."""
    (sister,) = (name for name in lab.stations if name != station)
    assert lab.phase(sister) is StationPhase.FINISHED
    assert left_by(lab)[sister] == course.left[sister]
    assert not said_of(lab, sister)
    if sister == CYCLER:
        assert len(list(lab.simulators[CYCLER].tester.active_dir.iterdir())) == 1


def _nothing_lost(lab: SideBySide) -> None:
    """Each dataset has a place of its own, no cell is cycled twice, no limit was left behind unnoticed."""
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in (lab.run_dir / "datasets").glob("*.json")]
    kept = [one["dataset"]["directory"] for one in manifests]
    assert len(kept) == len(set(kept))
    starts = {path.name for path in lab.simulators[CYCLER].tester.active_dir.iterdir()}
    assert len({name for name in starts if "somebody" not in name}) <= 1
    with (lab.run_dir / "readings" / f"{LADDER}.csv").open(encoding="utf-8") as file:
        hottest_K = max(float(row["value"]) for row in csv.DictReader(file) if row["quantity"] == "sensor_K")
    relay = lab.simulators[LADDER].oven.lab.device.oven.ailments.welded_percent
    assert hottest_K <= LIMITS[LADDER]["sensor_max_K"] or relay is not None


@pytest.mark.parametrize(("who", "name", "phase"), SAMPLE)
def test_a_fault_ends_in_its_declared_reaction(
    who: str, name: str, phase: str, courses: dict[tuple[str, Controller], Course], tmp_path: Path
) -> None:
    """Reaction, message and time are those of the registry; the sister station goes on; nothing is lost."""
    victim = VICTIMS[who]
    course = courses[victim.station, victim.controller]
    kind = victim.kinds[name]
    ending = let_loose(tmp_path, name, kind, phase, course, at=victim.at, controller=victim.controller)
    check(ending, victim, name, phase, course)


@pytest.mark.slow
@pytest.mark.parametrize(("who", "name", "phase"), ALL)
def test_every_fault_in_every_phase(
    who: str, name: str, phase: str, courses: dict[tuple[str, Controller], Course], tmp_path: Path
) -> None:
    """The same for all faults in all phases."""
    test_a_fault_ends_in_its_declared_reaction(who, name, phase, courses, tmp_path)


def test_a_cell_whose_test_was_reset_is_never_cycled_again(tmp_path: Path) -> None:
    """A person who lets the station go on does not charge the same cell anew: it stands until it is skipped."""
    reset = "  - {fault: reset_by_operator, station: maccor, at: 1200 s}\n"
    lab = SideBySide(folder=tmp_path, struck=CYCLER, faults=reset)
    lab.run()
    assert lab.phase(CYCLER) is StationPhase.PAUSED
    lab.run(attended="the cell was looked at")
    assert lab.phase(CYCLER) is StationPhase.PAUSED
    assert len(list(lab.simulators[CYCLER].tester.active_dir.iterdir())) == 1


def test_a_start_that_was_refused_is_begun_when_a_person_has_put_it_right(tmp_path: Path) -> None:
    """Nothing had come of it, so the second attempt is the cell's first test."""
    refused = "  - {fault: start_refused, station: maccor, at: 0 s, for: 1 h}\n"
    lab = SideBySide(folder=tmp_path, struck=CYCLER, faults=refused)
    lab.run()
    assert lab.phase(CYCLER) is StationPhase.PAUSED
    lab.at_s = START_S + 7200.0
    outcome = lab.run(attended="the tester was put right")
    assert isinstance(outcome, CampaignOutcome)
    assert outcome.exit_code == 0
    assert left_by(lab)[CYCLER] == [("maccor/cycling/cell", 2, "complete")]


def test_every_fault_and_every_phase_is_in_the_sample_or_the_product() -> None:
    """Each fault of these simulators declares a reaction, and the sample has a campaign for each phase."""
    assert all(kind.reaction is not None for victim in VICTIMS.values() for kind in victim.kinds.values())
    assert {phase for _, _, phase in SAMPLE} == {*LADDER_PHASES, *CELL_PHASES}
    assert set(SAMPLE) <= set(ALL)
