"""The direct route: the FRA object measures one frequency after the other, ranges are ours, every point is checked.

After each point one sample is taken, because the overload flags speak of the present sample only and an overloaded
converter shows a plausible number. An overloaded point is measured again one range up, until the cap; there it is kept
and flagged. A point on a range far too coarse is measured again on the better one.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Generator, Iterator

from labctl.clock import Clock
from labctl.errors import InstrumentError
from labctl_autolab._potentiostat import Potentiostat
from labctl_autolab._ranges import TOO_COARSE
from labctl_autolab._record import Point
from labctl_autolab._settings import Settings
from labctl_autolab._sweep import Run

_MOST_TRIES = 12


class DirectRoute:
    """The FRA object, point by point."""

    name = "direct"

    def __init__(
        self, potentiostat: Potentiostat, settings: Settings, *, clock: Clock, free_at_s: Callable[[], float]
    ) -> None:
        self._potentiostat = potentiostat
        self._settings = settings
        self._clock = clock
        self._free_at_s = free_at_s
        self._temperature_due_s = 0.0

    def points(self, run: Run, bias_V: float) -> Iterator[float]:
        """Measure every point; yields the times to go on."""
        task, settings, hand = run.task, self._settings, self._potentiostat
        run.phase = "settling"
        range_A = settings.ladder.ranges_A()[-1]
        hand.set_sine(amplitude_V_rms=task.amplitude_V_rms, integration_s=task.integration_s, cycles=task.cycles)
        hand.set_frequency(task.frequencies_Hz[0])
        hand.switch_on(bias_V=bias_V, range_A=range_A)
        yield self._free_at_s() + settings.first_settle_s
        for frequency_Hz in task.frequencies_Hz:
            hand.set_frequency(frequency_Hz)
            range_A = yield from self._point(run, frequency_Hz, range_A)
            if self._clock.monotonic_s() >= self._temperature_due_s:
                self._temperature_due_s = self._clock.monotonic_s() + settings.temperature_poll_s
                run.take_temperature()

    def _point(self, run: Run, frequency_Hz: float, range_A: float) -> Generator[float, None, float]:
        """Measure one point; returns the range to begin the next one on."""
        task, ladder = run.task, self._settings.ladder
        if not ladder.fast_enough(range_A, frequency_Hz):
            range_A = ladder.best_A(frequency_Hz, 0.0)
        overloads, tries, lowest_A = 0, 0, 0.0
        while True:
            tries += 1
            refusal, overload = yield from self._measure(run, range_A)
            higher_A = ladder.above_A(range_A)
            if overload and higher_A is not None:
                overloads, range_A, lowest_A = overloads + 1, higher_A, higher_A
                continue
            Z_ohm = self._result(run, frequency_Hz, refusal)
            better_A = max(ladder.best_A(frequency_Hz, task.amplitude_V_rms / abs(Z_ohm)), lowest_A)
            if overload or better_A * TOO_COARSE > range_A or tries >= _MOST_TRIES:
                break
            range_A = better_A
        remark = f"{overloads} overloads, measured again on {range_A:g} A" if overloads else ""
        if overload:
            remark = f"over the highest range allowed ({range_A:g} A)"
        run.add(
            Point(
                frequency_Hz=frequency_Hz,
                Z_real_ohm=Z_ohm.real,
                Z_imag_ohm=Z_ohm.imag,
                at_s=run.now_s(),
                range_A=range_A,
                overload=overload,
                tries=tries,
                remark=remark,
            )
        )
        return range_A if overload else better_A

    def _measure(self, run: Run, range_A: float) -> Generator[float, None, tuple[str, bool]]:
        """Settle, measure, sample; returns what the SDK had against it, and whether the converter was overloaded."""
        hand, settle_s = self._potentiostat, run.task.settle_s
        if hand.range_A != range_A:
            hand.set_range(range_A)
            settle_s = max(settle_s, self._settings.range_settle_s)
        yield self._free_at_s() + settle_s
        refusal = hand.start()
        yield self._free_at_s()
        return refusal, hand.sample().overload

    def _result(self, run: Run, frequency_Hz: float, refusal: str) -> complex:
        """Return the impedance just measured.

        Raises
        ------
        InstrumentError
            There is none, or it is no number.
        """
        if refusal:
            raise InstrumentError(
                f"the point at {frequency_Hz:g} Hz could not be measured: {refusal}",
                instrument=run.station,
                command="Fra.Start",
            )
        Z_ohm = self._potentiostat.impedance_ohm()
        if not cmath.isfinite(Z_ohm) or Z_ohm == 0:
            raise InstrumentError(
                f"the point at {frequency_Hz:g} Hz reads as {Z_ohm}", instrument=run.station, command="Fra.Real"
            )
        return Z_ohm
