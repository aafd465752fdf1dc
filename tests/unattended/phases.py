"""The phases of a night at the spectrometer, and how a fault is let loose in one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import LabctlError
from labctl.run.engine import CampaignOutcome
from labctl.run.events import Failed, Intended, Operated, SafeAsked, SafeSeen, Tripped
from labctl.run.journal import Row
from labctl.run.lifecycle import StationPhase
from labctl_sim_faults import FaultKind, Reaction
from tests.unattended.night import START_S, Night

PHASES = (
    "heating",
    "settling",
    "tuning",
    "T1",
    "2D early",
    "2D mid",
    "2D late",
    "quiet period",
    "hand-off",
    "cooling",
    "between steps",
    "recovery",
)
ACQUIRING = ("T1", "2D early", "2D mid", "2D late")

_PAUSED_S = 1800.0
_LATE_S = 30.0


@dataclass(frozen=True)
class Course:
    """When each phase of an undisturbed night is at its height [s after the lab was made]."""

    at_s: dict[str, float]
    said: frozenset[str]

    @classmethod
    def of(cls, night: Night) -> Course:
        """Read it off the journal and the datasets of a night that went well."""
        began: dict[str, float] = {}
        ended: dict[str, float] = {}
        for row in night.rows():
            name = row.step_id.rsplit("/", 1)[-1]
            if row.kind == "intent":
                began[name] = row.wall_s - START_S
            if row.kind == "outcome":
                ended[name] = row.wall_s - START_S
        zg_s = 1e9
        for path in (night.folder / "lab" / "job" / "status").glob("*.done"):
            pairs = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
            if pairs.get("expno") == "121":
                zg_s = float(pairs["time"]) - START_S

        def middle(name: str) -> float:
            return 0.5 * (began[name] + ended[name])

        return cls(
            at_s={
                "heating": middle("ramp"),
                "settling": middle("settle"),
                "tuning": middle("tune"),
                "T1": middle("t1"),
                "2D early": began["tmix00"] + 60.0,
                "2D mid": middle("tmix00"),
                "2D late": zg_s - _LATE_S,
                "quiet period": zg_s + 4.0,
                "hand-off": ended["tmix00"],
                "cooling": middle("cool"),
                "between steps": ended["tmix00"] + 300.0,
                "recovery": middle("settle") + 3.0,
            },
            said=frozenset(text for _, text in night.said),
        )


@dataclass(frozen=True)
class Ending:
    """How a disturbed night ended.

    Attributes
    ----------
    reaction : Reaction
        What labctl did.
    reacted_s : float
        From the fault to the first trip, or failure, or to the guard acting alone; inf: there was none.
    acted_s : float
        From there until the guard had gone safe; inf: it did not.
    said : str
        All that people were told beyond an undisturbed night.
    """

    reaction: Reaction
    reacted_s: float
    acted_s: float
    said: str
    night: Night
    outcome: CampaignOutcome | LabctlError | None


def entry(name: str, kind: FaultKind, at_s: float, **changes: str) -> str:
    """One line of a fault script, as the registry rehearses this fault."""
    takes = {key: parameter.example for key, parameter in kind.parameters.items()} | dict(kind.rehearsed) | changes
    return f"  - {{fault: {name}, at: {at_s:.1f} s" + "".join(f", {key}: {takes[key]}" for key in takes) + "}\n"


def let_loose(folder: Path, name: str, kind: FaultKind, phase: str, course: Course, **changes: str) -> Ending:
    """Run a night in which this fault strikes in this phase, to its end."""
    strike_s = course.at_s[phase]
    night = Night(folder=folder, faults=entry(name, kind, strike_s, **changes))
    outcome: CampaignOutcome | LabctlError | None
    if phase == "recovery":
        assert night.run(dies_at_s=START_S + strike_s - 3.0) is None
        outcome = night.run()
    elif phase == "between steps":
        outcome = _paused(night, START_S + strike_s - 600.0)
    else:
        outcome = night.run()
    return ending_of(night, outcome, START_S + strike_s, course)


def _paused(night: Night, at_s: float) -> CampaignOutcome | LabctlError | None:
    """A person pauses after the first 2D, and lets it go on half an hour later, if it is still theirs to continue."""
    asked: list[str] = []

    def operator(now_s: float) -> list[Operated]:
        if "pause" not in asked and now_s >= at_s:
            asked.append("pause")
            return [Operated(verb="pause", reason="a look at the spectrum")]
        if "continue" not in asked and now_s >= at_s + 600.0 + _PAUSED_S:
            asked.append("continue")
            if night.phase is StationPhase.PAUSED:
                return [Operated(verb="continue", reason="looked at")]
        return []

    return night.run(operator=operator, wakes_s=(at_s, at_s + 600.0 + _PAUSED_S))


def ending_of(night: Night, outcome: CampaignOutcome | LabctlError | None, strike_s: float, course: Course) -> Ending:
    """Work out from journal and console what labctl did about a fault that struck at `strike_s`."""
    rows = [row for row in night.rows() if row.wall_s >= strike_s - 1.0]
    safe_s = [_time_of(path) for path in sorted((night.folder / "lab" / "job" / "guard").glob("safe.*"))]
    safe_s = [at_s for at_s in safe_s if at_s >= strike_s - 1.0]
    reacted = [row.wall_s for row in rows if isinstance(row.event, Tripped | Failed)]
    first_s = min([*reacted, *safe_s], default=math.inf)
    told = [text for at_s, text in night.said if at_s >= strike_s - 1.0 and text not in course.said]
    again = any(isinstance(row.event, Intended) and row.event.attempt > 1 and _acquires(row) for row in rows)
    if isinstance(outcome, CampaignOutcome) and outcome.exit_code == 4:
        reaction = Reaction.PAUSE
    elif not isinstance(outcome, CampaignOutcome) or any(
        isinstance(row.event, Tripped | SafeAsked | SafeSeen) for row in rows
    ):
        reaction = Reaction.SAFE
    elif again:
        reaction = Reaction.NEW_ATTEMPT
    else:
        reaction = Reaction.ALARM if told else Reaction.NOTHING
    return Ending(
        reaction=reaction,
        reacted_s=first_s - strike_s,
        acted_s=safe_s[0] - first_s if safe_s else math.inf,
        said="\n".join(told),
        night=night,
        outcome=outcome,
    )


def _acquires(row: Row) -> bool:
    return row.step_id.rsplit("/", 1)[-1] in {"t1", "tmix00", "tmix01"}


def _time_of(path: Path) -> float:
    pairs = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
    return float(pairs["time"])
