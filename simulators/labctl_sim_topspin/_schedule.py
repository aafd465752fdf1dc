"""When things happen: who gets a turn next, and what somebody may want to see.

What counts as a moment of interest:

- the end of an acquisition, raw data arriving, faults of the script, an operator's answer;
- every turn of an AU program that is busy with a step while anything moves, that moves the set point itself, that has
  found what it waited for, or that may have to react to something that just happened; every minute of one that is
  busy waiting;
- for an idle program only the moment somebody looks: its polling is *stretched*. It runs once when its nominal sleep
  is over, at the time somebody looks or just before something happens, so its heartbeat is always fresh. A gap nobody
  was there for is walked in short strides instead.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from labctl_sim_topspin._programs import Running

if TYPE_CHECKING:
    from labctl_sim_topspin._console import Console

_ALERT_s = 30.0  # polling is exact for so long after something happened
_MOVING_STRIDE_s = 30.0  # an idle program looks at least so often while the temperature moves
_STUCK_STRIDE_s = 10.0
_QUIET_STRIDE_s = 60.0  # and a busy one while it waits and nothing moves


class Schedule:
    """Whose turn it is on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.alert_until_s = 0.0

    def alert(self) -> None:
        """Poll exactly for a while: something happened."""
        self.alert_until_s = self._console.now_s() + _ALERT_s

    def next_event_s(self) -> float | None:
        """Return when something will happen that somebody may want to see; None if nothing will."""
        times = [at_s for at_s, _ in self._console.events()]
        for running in self._console.programs.running.values():
            wake_s, looked_for = self._wake_s(running, math.inf)
            if wake_s is not None and looked_for:
                times.append(wake_s)
        return max(self._console.now_s(), min(times)) if times else None

    def candidates(self, to_s: float, stretch_s: float) -> Iterator[tuple[float, int, Callable[[], None]]]:
        """Yield what may happen next: when, the number of the program it is a turn of (0: none), and how."""
        first_s = math.inf
        for at_s, action in self._console.events():
            first_s = min(first_s, at_s)
            yield at_s, 0, action
        just_before_s = math.nextafter(first_s, 0.0)
        for number, running in list(self._console.programs.running.items()):
            wake_s, looked_for = self._wake_s(running, stretch_s)
            if wake_s is None:
                continue
            if not looked_for:  # it runs when somebody looks, or when it has been left asleep long enough
                wake_s = max(self._nominal_s(running), min(to_s, wake_s, just_before_s))
            yield wake_s, number, lambda running=running: self._console.turn(running)  # type: ignore[misc]  # bound now

    def _nominal_s(self, running: Running) -> float:
        """When a program that is ready or asleep wants its next turn."""
        return self._console.now_s() if running.machine.wake_s is None else running.machine.wake_s

    def _wake_s(self, running: Running, stretch_s: float) -> tuple[float | None, bool]:
        """Return when a program gets its next turn and whether somebody may want to see that.

        None: it waits for something else.
        """
        if running.machine.state not in {"ready", "sleeping"}:
            return None, False
        nominal_s = self._nominal_s(running)
        if self._console.acquirer.slow_s:
            return nominal_s, True  # a look takes so long that it would come too late for whoever asks
        if _has_mail(running) or running.machine.in_command:
            return nominal_s, True
        if self._console.now_s() < self.alert_until_s or self._console.plant.rotor_moving or running.acted:
            return nominal_s, True
        if self._console.plant.sensor_fault == "stuck" and not running.busy:
            return max(nominal_s, running.ran_s + _STUCK_STRIDE_s), True  # many looks tell it
        moving = self._console.plant.temperature_moving
        if running.busy and moving:
            return nominal_s, True
        if running.busy or moving:
            stride_s = _MOVING_STRIDE_s if moving else _QUIET_STRIDE_s
            return max(nominal_s, running.ran_s + stride_s), True
        return max(nominal_s, running.ran_s + stretch_s), False


def _has_mail(running: Running) -> bool:
    """Whether a file has come that the program looked for."""
    return any(map(os.path.exists, running.mailbox))
