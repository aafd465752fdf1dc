"""One channel of the simulated tester: the real driver over the real simulator, in process."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import labctl_maccor
import labctl_sim_maccor
from labctl.clock import VirtualClock
from labctl.plan.steps import Step
from labctl.ports import Instrument
from tests.unattended.seeded.host import HostClock
from tests.unattended.seeded.sites import SAMPLES, Site

LIMITS = {"voltage_min_V": 0.0, "voltage_max_V": 4.2, "current_max_A": 5e-3}
_ACTIVE = 2


def _is_ours(test: Any) -> bool:
    """Whether labctl started a test: what a fault lets somebody else start has another procedure."""
    return bool(test.proc_name) and test.proc_name != "FORMATION"


class Cycler(Site):
    """A tester that goes on by itself, with its cell.

    Parameters
    ----------
    chance : Random
        Decides whether the person who looks after a suspended test lets it go on.
    """

    limits = LIMITS

    def __init__(
        self,
        name: str,
        clock: VirtualClock,
        folder: Path,
        steps: list[Step],
        *,
        script: Path | None,
        chance: random.Random,
    ) -> None:
        super().__init__(name, clock, folder, steps)
        self._chance = chance
        self._theirs = False
        self._settings: dict[str, Any] = {
            "channel": 1,
            "capacity_form": "C",
            "voltage_margin": "100 mV",
            "simulator": {"channels": 2},
        }
        self.simulator = labctl_sim_maccor.open_simulator(
            station=name,
            state_dir=folder / name,
            clock=clock,
            seed=1,
            sample=SAMPLES / "in_li_lpsc_li2s.yaml",
            settings=self._settings,
            faults=script,
        )
        tester = self.simulator.tester
        inner: Callable[..., None] = tester._open

        def open_(test: Any, procedure: Any, index: int) -> None:
            if _is_ours(test):
                self.truth.begun.append((test.test_name.split("-", 1)[-1], clock.now_s()))
            inner(test, procedure, index)

        tester._open = open_  # type: ignore[method-assign]  # a tap on what is there
        clock.add_source(self.simulator.next_event_s, of=name)

    def driver(self, host: HostClock) -> Instrument:
        found: Instrument = labctl_maccor.open_driver(
            station=self.name, settings=self._settings, limits=self.limits, clock=host, link=self.simulator.link()
        )
        return found

    def measures(self) -> bool:
        channel = self.simulator.tester.channels[0]
        if self._theirs:
            return False
        return int(channel.stat) == _ACTIVE and channel.test is not None and _is_ours(channel.test)

    def mend(self) -> None:
        super().mend()
        tester = self.simulator.tester
        tester.advance(self.clock.now_s())
        for course in tester._courses:
            if course.phase == "active":
                course.phase, course.at_s = "done", None
        channel = tester.channels[0]
        stands = channel.test is not None and channel.stat.name in {"SUSPENDED", "POWER_FAIL"}
        if stands and self._chance.random() < 0.5:
            channel.resume(self.clock.now_s())
            self._theirs = True  # what a person lets go on, after all that was asked of labctl, is theirs
