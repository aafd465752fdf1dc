"""How far a campaign is, and when it will end: the plan's estimates, corrected by what has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.ports import Reading
from labctl.run.lifecycle import StationPhase
from labctl.run.state import BEHIND, State


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """What one look at one station gave.

    Attributes
    ----------
    step_id, role : str
        The step under way, empty between steps.
    acquires : bool
        It leaves a dataset; else it is a set point, a wait or a check, which may be begun again for nothing.
    fraction : float or None
        Of that step, 0 to 1.
    campaign_fraction : float
        Of the whole campaign by estimated time, 0 to 1.
    eta_s : float
        Wall time at which the campaign is expected to end [s since 1970 UTC].
    message : str
        Something to be said once: an alarm, a note on a step.
    """

    station: str
    phase: StationPhase
    at_s: float
    step_id: str = ""
    role: str = ""
    attempt: int = 0
    acquires: bool = True
    fraction: float | None = None
    campaign_fraction: float = 0.0
    eta_s: float = 0.0
    detail: str = ""
    needs_person: str = ""
    readings: tuple[Reading, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Sums:
    """Expected seconds: all steps, those behind, by station those that wait; (step, station, s) of those under way."""

    whole_s: float
    behind_s: float
    waiting_s: Mapping[str, float]
    open: tuple[tuple[str, str, float], ...]


@dataclass(slots=True, kw_only=True)
class Pace:
    """How long steps of each role really took, against their estimates [s]."""

    estimated_s: dict[str, float] = field(default_factory=dict)
    actual_s: dict[str, float] = field(default_factory=dict)
    begun_s: dict[str, float] = field(default_factory=dict)
    _known: tuple[State, _Sums] | None = None

    def begun(self, step_id: str, at_s: float) -> None:
        """A step's attempt was begun at wall time `at_s`."""
        self.begun_s[step_id] = at_s

    def ended(self, step_id: str, role: str, estimate_s: float, at_s: float) -> None:
        """A step's attempt ended with success."""
        self._known = None
        begun_s = self.begun_s.pop(step_id, None)
        if begun_s is not None and estimate_s > 0.0:
            self.estimated_s[role] = self.estimated_s.get(role, 0.0) + estimate_s
            self.actual_s[role] = self.actual_s.get(role, 0.0) + max(0.0, at_s - begun_s)

    def factor(self, role: str) -> float:
        """Actual over estimated duration of a role, within 0.2 to 5; 1 where nothing has run."""
        estimated_s = self.estimated_s.get(role, 0.0)
        return min(5.0, max(0.2, self.actual_s[role] / estimated_s)) if estimated_s > 0.0 else 1.0

    def outlook(self, state: State, now_s: float, fractions: Mapping[str, float]) -> tuple[float, float]:
        """Return the campaign's fraction and its expected end (wall time [s])."""
        sums = self._sums(state)
        behind_s, remaining = sums.behind_s, dict(sums.waiting_s)
        for name, station in state.stations.items():
            if station.phase is StationPhase.HELD:
                remaining[name] += max(0.0, station.waits_until_s - now_s)
        for step_id, name, expected_s in sums.open:
            left_s = expected_s
            if step_id in fractions:
                left_s = expected_s * (1.0 - fractions[step_id])
            elif step_id in self.begun_s:
                left_s = max(0.0, expected_s - (now_s - self.begun_s[step_id]))
            remaining[name] += left_s
            behind_s += expected_s - left_s
        fraction = behind_s / sums.whole_s if sums.whole_s > 0.0 else 1.0
        return fraction, now_s + max(remaining.values(), default=0.0)

    def _sums(self, state: State) -> _Sums:
        """Return what holds until the next event: campaigns have hundreds of steps, and looks are many."""
        if self._known is None or self._known[0] is not state:
            behind_s = whole_s = 0.0
            waiting_s: dict[str, float] = dict.fromkeys(state.stations, 0.0)
            under_way: list[tuple[str, str, float]] = []
            for step in state.plan.steps:
                expected_s = step.estimate_s * self.factor(step.role)
                whole_s += expected_s
                if state.steps[step.id].status in BEHIND:
                    behind_s += expected_s
                elif state.stations[step.station].open == step.id:
                    under_way.append((step.id, step.station, expected_s))
                else:
                    waiting_s[step.station] += expected_s
            self._known = (state, _Sums(whole_s, behind_s, waiting_s, tuple(under_way)))
        return self._known[1]
