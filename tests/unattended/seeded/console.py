"""The console of a seeded campaign: `labctl.testing.ScriptedInstrument` over a plant.

The simulated console interprets the AU programs, which costs a second of processor time for each campaign; faults of
that one are in `test_topspin_faults.py`. This one answers as the driver over that console does: an agent that
remembers tokens only for what comes late, a guard that goes safe by itself when labctl is gone for longer than its
lease, and never any heat or drive that nobody asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import AwaitStable, Evidence, Observation, Order, Reading, SetTemperature
from labctl.testing import ScriptedInstrument
from tests.unattended.seeded.host import HostClock

if TYPE_CHECKING:
    from tests.unattended.seeded.spectrometer import Spectrometer

_LATE_S = 40.0


class Console(ScriptedInstrument):
    """A spectrometer in memory that obeys the plant."""

    site: Spectrometer
    host: HostClock
    late: bool = False

    def open(self, epoch: int) -> None:
        super().open(epoch)
        self.site.hear()
        self.site.guard_alone = False

    def begin(self, order: Order) -> None:
        if self.late:
            self.late = False
            self.site.coming.append((self.site.clock.now_s() + _LATE_S, order))
            raise InstrumentSilent("the job folder does not answer", instrument=self.station, command="begin")
        self.site.live()
        before, earlier = dict(self.starts), self.entries.get(order.token)
        refused = self.site.refuses(order)
        if refused:
            raise InstrumentError(refused, instrument=self.station, command=order.step_id)
        try:
            super().begin(order)
        finally:
            if self.starts != before:
                if earlier is not None and earlier.end == "failed":  # it left no data, and its records say so
                    self.site.truth.begun = [begun for begun in self.site.truth.begun if begun[0] != order.token]
                self.site.begun(order)

    def make_safe(self, reason: str) -> None:
        super().make_safe(reason)
        self.site.go_safe()

    def look(self, order: Order) -> Observation:
        self.site.live()
        self._settles(order)
        return super().look(order)

    def evidence(self, order: Order) -> Evidence:
        self.site.live()
        self._settles(order)
        return super().evidence(order)

    def _settles(self, order: Order) -> None:
        """A wait for the band ends where the sensor is in it, and fails where it never is."""
        entry, task = self.entries.get(order.token), order.task
        now_s = self.clock.monotonic_s()
        if not isinstance(task, AwaitStable) or entry is None or entry.end != "done" or now_s < entry.ends_s:
            return
        if abs(self.site.plant.sensor_K - task.setpoint_K) <= task.within_K:
            return
        if now_s < entry.begun_s + task.give_up_s:
            entry.ends_s = now_s + 60.0
        else:
            entry.end, entry.what = "failed", "the band was not reached"

    def readings(self) -> tuple[Reading, ...]:
        self.site.live()
        self._answer("readings")
        self.site.hear()
        if not self.readings_silent:
            self._read_s = self.site.clock.now_s()
            self.values = {**self.site.plant.readings(), **dict.fromkeys(self.site.ailing, 1.0)}
        at_s = self._read_s + self.host.ahead_s()  # a clock that was set makes no reading older
        return tuple(Reading(quantity=name, value=value, at_s=at_s) for name, value in self.values.items())

    def is_safe(self) -> bool:
        self.site.live()
        return super().is_safe() and not self.site.plant.heating

    def _answer(self, what: str, order: Order | None = None) -> None:
        self.site.live()
        super()._answer(what, order)

    def _heat(self, task: Any) -> None:
        if isinstance(task, SetTemperature):
            self.safe_asked_s = None
