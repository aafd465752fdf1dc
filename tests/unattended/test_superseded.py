"""An engine that slept while a later one took its stations writes nothing more, not even in the middle of a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.clock import VirtualClock
from labctl.errors import Superseded
from labctl.ports import Instrument
from labctl.run.engine import CampaignOutcome
from labctl.run.events import Operated
from labctl.run.lifecycle import StationPhase
from tests.unattended.side_by_side import CYCLER, LADDER, START_S, SideBySide

WIRES = ("lakeshore", "eurotherm", "sdk", "macnet")


@dataclass(kw_only=True)
class Tapped(SideBySide):
    """Counts what goes over a wire; a later engine comes right after the message of this number."""

    wire: str = ""
    taken_after: int = -1
    heard: int = 0

    def _lab(self) -> tuple[VirtualClock, dict[str, Instrument]]:
        clock, instruments = super()._lab()
        oven: Any = self.links[LADDER].oven
        autolab: Any = instruments[LADDER]
        device = self.simulators[LADDER].device
        ends = {
            "lakeshore": [(oven, "send")],
            "eurotherm": [(oven, "read"), (oven, "write"), (oven, "echo")],
            "sdk": [(autolab._potentiostat, "_told"), (device, "start_fra")],  # one call of the SDK touches it often
            "macnet": [(self.links[CYCLER], "exchange")],
        }
        for listened, name in ends.get(self.wire, ()):
            setattr(listened, name, self._tap(getattr(listened, name)))
        return clock, instruments

    def _tap(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def passed(*arguments: Any) -> Any:
            if arguments[:1] == ("Disconnect",):
                return act(*arguments)  # its own hold on the instrument is all that it lets go of
            self.heard += 1
            number = self.heard
            try:
                return act(*arguments)
            finally:
                if number == self.taken_after:
                    (self.state_dir / (CYCLER if self.wire == "macnet" else LADDER) / "epoch-2.txt").touch()

        return passed


def lab_with(folder: Path, wire: str, taken_after: int = -1) -> Tapped:
    """A lab in which this wire is listened to."""
    controller: Any = "eurotherm" if wire == "eurotherm" else "lakeshore"
    return Tapped(folder=folder, controller=controller, wire=wire, taken_after=taken_after)


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How many messages pass each wire in an undisturbed campaign."""
    found = {}
    for wire in WIRES:
        lab = lab_with(tmp_path_factory.mktemp(wire), wire)
        outcome = lab.run()
        assert isinstance(outcome, CampaignOutcome)
        assert outcome.exit_code == 0
        found[wire] = lab.heard
    return found


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("share", [0.01, 0.31, *(pytest.param(0.02 * n, marks=pytest.mark.slow) for n in range(2, 50))])
def test_a_superseded_engine_sends_nothing_more(
    wire: str, share: float, messages: dict[str, int], tmp_path: Path
) -> None:
    """A later epoch appears between two messages, perhaps of one call: the second is not sent, nor any after it."""
    lab = lab_with(tmp_path, wire, taken_after=max(1, int(share * messages[wire])))
    assert isinstance(lab.run(), Superseded)
    assert lab.heard == lab.taken_after


@pytest.mark.parametrize("controller", ["lakeshore", "eurotherm"])
def test_two_engines_over_the_same_stations(controller: Any, tmp_path: Path) -> None:
    """One sleeps in mid-sweep, its lock is gone, another ends the campaign; the first wakes and disturbs nothing."""
    first = Tapped(folder=tmp_path / "first", controller=controller)
    ended: list[CampaignOutcome] = []

    def sleeps(now_s: float) -> list[Operated]:
        if now_s >= START_S + 1930.0 and not ended:
            for name in first.stations:
                (first.state_dir / name / "owner.lock").unlink()
            second = SideBySide(folder=tmp_path / "second", controller=controller, beside=first)
            outcome = second.run()
            assert isinstance(outcome, CampaignOutcome)
            ended.append(outcome)
            [cell] = second.datasets(CYCLER)
            assert (cell.attempt, cell.completeness) == (1, "complete")
            sweeps = {(one.step_id.split("/")[2], one.attempt): one.completeness for one in second.datasets(LADDER)}
            assert sweeps == {("T00", 1): "partial", ("T00", 2): "complete", ("T01", 1): "complete"}
        return []

    woken = first.run(operator=sleeps, wakes_s=(START_S + 1930.0,))
    assert [set(outcome.stations.values()) for outcome in ended] == [{StationPhase.FINISHED}]
    assert isinstance(woken, Superseded)
    assert first.simulators[CYCLER].tester.channels[0].test is not None, "archived by nobody"
