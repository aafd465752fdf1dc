"""Every fault of the spectrometer, in every phase of a night, ends in the reaction that the registry declares."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from labctl.run.engine import CampaignOutcome
from labctl_sim_faults import Reaction
from labctl_sim_topspin.faults import FAULTS
from tests.unattended.night import POLL_S, STATION_LIMITS, Night
from tests.unattended.phases import PHASES, Course, Ending, let_loose

_AGENTS_GONE = ("topspin_restart", "dialog", "share_gone", "power_cut", "guard_killed", "executor_killed")
_GROWS = ("tuning", "T1", "2D early", "2D mid", "2D late", "quiet period", "hand-off")
"""Phases in which an acquisition goes on, or is begun before the silence shows."""

SAMPLE = (
    ("heater_trip", "between steps"),
    ("gas_loss", "recovery"),
    ("spin_loss", "2D late"),
    ("spin_off_rate", "heating"),
    ("overshoot", "2D mid"),
    ("sensor_stuck", "settling"),
    ("halt", "2D early"),
    ("stop", "2D mid"),
    ("kill", "T1"),
    ("topspin_restart", "cooling"),
    ("power_cut", "tuning"),
    ("clock_jump", "recovery"),
    ("disk_full", "heating"),
    ("spooling", "between steps"),
)
"""One night for most faults and each phase; `-m slow` takes the whole product."""
ALL = [(name, phase) for name in FAULTS for phase in PHASES]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course of an undisturbed night."""
    night = Night(folder=tmp_path_factory.mktemp("undisturbed"))
    outcome = night.run()
    assert isinstance(outcome, CampaignOutcome)
    assert outcome.exit_code == 0
    return Course.of(night)


def check(ending: Ending, name: str, phase: str) -> None:
    """Hold what happened to what is declared."""
    kind = FAULTS[name]
    declared = kind.otherwise.get(phase, kind.reaction)
    if declared is Reaction.RETRY:
        assert ending.reaction in {Reaction.NOTHING, Reaction.ALARM}, ending.said
    else:
        assert ending.reaction is declared, ending.said
    if declared is kind.reaction and kind.message:
        assert kind.message in ending.said
    if declared is Reaction.SAFE:
        within_s = kind.growing_s if kind.growing_s and phase in _GROWS else kind.within_s
        if declared is kind.reaction:
            assert ending.reacted_s <= within_s
        if name not in _AGENTS_GONE and not kind.growing_s:
            assert ending.acted_s <= 2.0 * POLL_S
        assert ending.night.simulator.console.acquirer.running is None
    _nothing_lost(ending.night)


def _nothing_lost(night: Night) -> None:
    """Nothing overwritten, limits kept, no rotor spun up, no heater re-armed, every intent accounted for."""
    console = night.simulator.console
    for audit in (night.folder / "lab" / "data" / "labctl").glob("*/audita.txt"):
        assert "deleted by zg" not in audit.read_text(encoding="utf-8")
    with (night.run_dir / "readings" / "nmr.csv").open(encoding="utf-8") as file:
        read_K = [float(row["value"]) for row in csv.DictReader(file) if row["quantity"] == "sensor_K"]
    assert max(read_K) <= STATION_LIMITS["sensor_max_K"]
    assert not [text for text in console.messages if "masg" in text.lower()]
    if console.mischief.active("spin_loss") or console.mischief.active("power_cut"):
        assert not console.plant.mas.regulated
    if console.mischief.active("heater_trip"):
        assert console.plant.heater_percent() == 0.0
    kept = {json.loads(path.read_text(encoding="utf-8"))["dataset"]["directory"] for path in night.manifests()}
    assert len(kept) == len(night.manifests())


@pytest.mark.parametrize(("name", "phase"), SAMPLE)
def test_a_fault_ends_in_its_declared_reaction(name: str, phase: str, course: Course, tmp_path: Path) -> None:
    """Reaction, message and time are those of the registry, and nothing is lost, overwritten or heated meanwhile."""
    check(let_loose(tmp_path / "night", name, FAULTS[name], phase, course), name, phase)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "phase"), ALL)
def test_every_fault_in_every_phase(name: str, phase: str, course: Course, tmp_path: Path) -> None:
    """The same for all faults in all phases."""
    check(let_loose(tmp_path / "night", name, FAULTS[name], phase, course), name, phase)


@pytest.mark.parametrize(("name", "lasts"), [("dialog", "5 min"), ("share_gone", "5 min")])
def test_a_short_silence_kills_no_2d(name: str, lasts: str, course: Course, tmp_path: Path) -> None:
    """While a 2D goes on, five minutes without agents or share alarm, and the 2D ends as if nothing had been."""
    ending = let_loose(tmp_path / "night", name, FAULTS[name], "2D mid", course, **{"for": lasts})
    assert ending.reaction is Reaction.ALARM
    assert "was last read" in ending.said
    assert isinstance(ending.outcome, CampaignOutcome)
    assert ending.outcome.exit_code == 0


def test_what_never_settles_is_given_up(course: Course, tmp_path: Path) -> None:
    """Two kelvins off, for ever: no limit is broken, and no spectrum is measured; the station goes safe."""
    ending = let_loose(
        tmp_path / "night", "overshoot", FAULTS["overshoot"], "settling", course, **{"by": "2 K", "for": "5 h"}
    )
    assert ending.reaction is Reaction.SAFE
    assert "did not settle in time" in ending.said
    assert not ending.night.manifests()


def test_a_2d_whose_temperature_moved_is_flagged_and_kept(course: Course, tmp_path: Path) -> None:
    """Two kelvins in mid-acquisition are no reason to end it, and people are told which dataset it is."""
    ending = let_loose(
        tmp_path / "night", "overshoot", FAULTS["overshoot"], "2D mid", course, **{"by": "2 K", "for": "40 min"}
    )
    assert ending.reaction is Reaction.ALARM
    assert "tmix00: the sensor moved by +2.00 K during the acquisition" in ending.said
    assert len(ending.night.manifests()) == 3


def test_every_fault_and_every_phase_is_in_the_sample_or_the_product() -> None:
    """Each fault of the registry declares a reaction, and the sample has a night for each phase but the quiet ones."""
    assert all(kind.reaction is not None for kind in FAULTS.values())
    assert {phase for _, phase in SAMPLE} >= set(PHASES) - {"quiet period", "hand-off"}
    assert set(SAMPLE) <= set(ALL)
