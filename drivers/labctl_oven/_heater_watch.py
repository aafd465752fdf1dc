"""The heater against the thermometer: set points do not protect against a relay that welded shut. Pure.

Two contradictions are looked for. Full power, and the temperature does not rise: the heater has burnt through, the
sensor fell out, the door stands open. No power, and the temperature rises above what the heat left in the heater
block explains: something feeds the heater past the controller. A third: the set point walks and the reading does not
change by a digit, so it is an old one.

The watch knows what it has seen since it was made. It acts on nothing; an independent cut-out must.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """How much is too much.

    Attributes
    ----------
    full_percent, stuck_s, stuck_K : float
        Output above `full_percent` for `stuck_s` with a rise of less than `stuck_K` is a heater that does not heat.
    off_percent, coast_s, rise_K, rise_window_s : float
        With the output below `off_percent` the block's heat may go on warming the sensor for `coast_s`; a rise of
        `rise_K` above the highest value in that time, all of it within `rise_window_s`, is a welded relay. (A room
        that warms up in the morning is slower.)
    frozen_walk_K : float
        The set point walks so far and the reading is the same digit for digit: it is an old one.
    frozen_s : float
        So is one that does not change for so long at all, with the loop closed; inf where the display has no digits
        that noise would move.
    """

    full_percent: float = 95.0
    stuck_s: float = 600.0
    stuck_K: float = 1.0
    off_percent: float = 1.0
    coast_s: float = 180.0
    rise_K: float = 2.0
    rise_window_s: float = 900.0
    frozen_walk_K: float = 5.0
    frozen_s: float = float("inf")


MAX_GAP_s = 300.0


class HeaterWatch:
    """Sees readings one after another; `faults` says what contradicts itself.

    Parameters
    ----------
    limit_K : float
        Above this the oven is too hot, whatever the reason.
    """

    def __init__(self, settings: WatchSettings, *, limit_K: float) -> None:
        self._settings = settings
        self._limit_K = limit_K
        self._last_s: float | None = None
        self._full_since: tuple[float, float] | None = None
        self._off_since_s: float | None = None
        self._coast_top_K = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._same_since: tuple[float, float, float] | None = None
        self._welded_above_K: float | None = None
        self._found: dict[str, str] = {}

    @property
    def faults(self) -> dict[str, str]:
        """Name to what was seen; empty while all is well."""
        return dict(self._found)

    def forget(self) -> None:
        """Nobody watched for a while: what is built up of durations begins anew (a welded relay is not forgotten)."""
        self._full_since = self._same_since = None
        self._off_since_s = None
        self._recent.clear()

    def update(
        self, at_s: float, *, sensor_K: float, heater_percent: float, setpoint_K: float, heating_allowed: bool
    ) -> None:
        """Take in one reading.

        Parameters
        ----------
        at_s : float
            When it was read [s].
        heater_percent : float
            What the controller says it puts out.
        setpoint_K : float
            Where the set point stands now.
        heating_allowed : bool
            The loop is closed.
        """
        if self._last_s is not None and not 0.0 <= at_s - self._last_s <= MAX_GAP_s:
            self.forget()
        self._last_s = at_s
        self._found = {}
        self._mind_not_heating(at_s, sensor_K, heater_percent, setpoint_K)
        self._mind_welded(at_s, sensor_K, heater_percent)
        self._mind_frozen(at_s, sensor_K, setpoint_K, heating_allowed=heating_allowed)
        if sensor_K > self._limit_K:
            self._found["over_temperature"] = f"{sensor_K:.1f} K, limit {self._limit_K:.1f} K"

    def _mind_not_heating(self, at_s: float, sensor_K: float, heater_percent: float, setpoint_K: float) -> None:
        s = self._settings
        if heater_percent < s.full_percent or sensor_K > setpoint_K - s.stuck_K:
            self._full_since = None
            return
        if self._full_since is None or sensor_K >= self._full_since[1] + s.stuck_K:
            self._full_since = (at_s, sensor_K)
        lasted_s = at_s - self._full_since[0]
        if lasted_s >= s.stuck_s:
            risen_K = sensor_K - self._full_since[1]
            self._found["heater_not_heating"] = (
                f"{heater_percent:.0f} % for {lasted_s:.0f} s, and the temperature rose by {risen_K:.1f} K"
            )

    def _mind_welded(self, at_s: float, sensor_K: float, heater_percent: float) -> None:
        s = self._settings
        if self._welded_above_K is not None:  # known until the oven is colder than where it was first seen
            if sensor_K <= self._welded_above_K:
                self._welded_above_K = None
            else:
                self._found["heater_welded"] = (
                    f"the output is {heater_percent:.1f} %, and {sensor_K:.1f} K is above {self._welded_above_K:.1f} K"
                )
            return
        if heater_percent > s.off_percent:
            self._off_since_s = None
            self._recent.clear()
            return
        if self._off_since_s is None:
            self._off_since_s, self._coast_top_K = at_s, sensor_K
        if at_s - self._off_since_s <= s.coast_s:
            self._coast_top_K = max(self._coast_top_K, sensor_K)
            return
        self._recent.append((at_s, sensor_K))
        while self._recent[0][0] < at_s - s.rise_window_s:
            self._recent.popleft()
        risen_K = sensor_K - min(kelvin for _, kelvin in self._recent)
        if sensor_K > self._coast_top_K + s.rise_K and risen_K > 0.75 * s.rise_K:
            self._welded_above_K = self._coast_top_K
            off_s = at_s - self._off_since_s
            self._found["heater_welded"] = (
                f"the output has been {heater_percent:.1f} % for {off_s:.0f} s, and the temperature rose by"
                f" {sensor_K - self._coast_top_K:.1f} K: switch the mains off by hand"
            )

    def _mind_frozen(self, at_s: float, sensor_K: float, setpoint_K: float, *, heating_allowed: bool) -> None:
        s = self._settings
        same = self._same_since
        if not heating_allowed or same is None or same[1] != sensor_K:
            self._same_since = (at_s, sensor_K, setpoint_K)
            return
        walked_K, lasted_s = abs(setpoint_K - same[2]), at_s - same[0]
        if walked_K >= s.frozen_walk_K or lasted_s >= s.frozen_s:
            self._found["sensor_frozen"] = (
                f"the reading has been {sensor_K:.3f} K for {lasted_s:.0f} s; the set point walked {walked_K:.1f} K"
            )
