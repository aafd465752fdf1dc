"""A fault let loose at one of two stations, in one phase of its work, and what labctl made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import LabctlError
from labctl.run.engine import CampaignOutcome
from labctl.run.events import Alarmed, Failed, Intended, Operated, SafeAsked, SafeSeen, Tripped
from labctl.run.lifecycle import StationPhase
from labctl_sim_faults import FaultKind, Reaction
from tests.unattended.side_by_side import CYCLER, LADDER, START_S, Controller, SideBySide

LADDER_PHASES = (
    "heating",
    "settling",
    "soaking",
    "first point",
    "mid sweep",
    "last point",
    "between steps",
    "cooling back",
    "recovery",
    "nobody there",
)
SWEEPING = ("first point", "mid sweep", "last point")
CELL_PHASES = ("start", "resting", "charging", "between polls", "discharging", "end", "recovery", "nobody there")

LOOK = "a look at the spectrum"
_ABSENT_S = 240.0
_AHEAD_S = 4.0
"""By so much an instrument whose calls block may be ahead of a virtual clock."""
_BEFORE_S = 420.0
_PAUSED_S = 900.0


@dataclass(frozen=True)
class Course:
    """When each phase of undisturbed work is at its height [s after the lab was made], and what is left and said."""

    at_s: dict[tuple[str, str], float]
    struck: str
    left: dict[str, list[tuple[str, int, str]]]

    @classmethod
    def of(cls, lab: SideBySide) -> Course:
        """Read it off the journal, the checkpoints and the export of a campaign that went well."""
        began: dict[str, float] = {}
        ended: dict[str, float] = {}
        for row in lab.rows():
            name = row.step_id.partition("/")[2].partition("/")[2]
            if row.kind == "intent":
                began[name] = row.wall_s - START_S
            if row.kind == "outcome":
                ended[name] = row.wall_s - START_S
        points_s, cycle = list(_points(lab)), _first_cycle(lab)
        ladder = {
            "heating": 0.5 * (began["T00/ramp"] + ended["T00/ramp"]),
            "settling": began["T00/settle"] + 60.0,
            "soaking": ended["T00/settle"] - 100.0,
            "first point": points_s[0] - 0.4,
            "mid sweep": points_s[5] + 2.0,
            "last point": points_s[-1] - 6.0,
            "between steps": ended["T00/sweep"] + 400.0,
            "cooling back": 0.5 * (began["cool"] + ended["cool"]),
            "recovery": ended["T00/settle"] - 100.0,
            "nobody there": ended["T00/settle"] - 100.0,
        }
        cell = {
            "start": began["cell"] + 0.05,
            "resting": 0.5 * cycle["C"][0],
            "charging": 0.5 * sum(cycle["C"]),
            "between polls": 0.4 * cycle["C"][0] + 0.6 * cycle["C"][1] + 3.3,
            "discharging": 0.5 * sum(cycle["D"]),
            "end": ended["cell"] - 30.0,
            "recovery": 0.5 * sum(cycle["C"]),
            "nobody there": 0.5 * sum(cycle["C"]),
        }
        return cls(
            at_s={(LADDER, phase): at_s for phase, at_s in ladder.items()}
            | {(CYCLER, phase): at_s for phase, at_s in cell.items()},
            struck=lab.struck,
            left=left_by(lab),
        )


def said_of(lab: SideBySide, station: str) -> list[tuple[float, str]]:
    """What people were told of a station, but for what we ourselves said."""
    return [(at_s, text) for at_s, name, text in lab.said if name == station and text != f"paused: {LOOK}"]


def left_by(lab: SideBySide) -> dict[str, list[tuple[str, int, str]]]:
    """Step, attempt and completeness of every dataset of each station."""
    return {
        name: sorted((one.step_id, one.attempt, one.completeness) for one in lab.datasets(name))
        for name in lab.stations
    }


def _points(lab: SideBySide) -> Iterator[float]:
    """When each point of the first spectrum was finished [s after the lab was made]."""
    [path] = lab.simulators[LADDER].link().data_dir.glob("T00*.checkpoint.jsonl")
    for line in path.read_text(encoding="utf-8").splitlines():
        if "point" in (told := json.loads(line)):
            yield told["point"]["at_s"] - START_S


def _first_cycle(lab: SideBySide) -> dict[str, tuple[float, float]]:
    """Begin and end of the first charge and discharge [s after the lab was made], from the tester's export."""
    [path] = lab.simulators[CYCLER].tester.export_dir.iterdir()
    times: dict[str, list[float]] = {}
    for line in path.read_text(encoding="cp1252").splitlines():
        cells = line.split("\t")
        if len(cells) > 9 and cells[0].isdigit() and cells[1] == "0":
            times.setdefault(cells[9], []).append(float(cells[3]))
    return {state: (at_s[0], at_s[-1]) for state, at_s in times.items()}


@dataclass(frozen=True)
class Ending:
    """How a disturbed campaign ended.

    Attributes
    ----------
    reaction : Reaction
        What labctl did at the station that was struck.
    noticed_s : float
        From the fault to the first time the station's driver said that something is wrong; inf: it never did.
    reacted_s : float
        From there to what labctl did: the trip, the failure, the call for a person; inf: nothing.
    safe_s : float
        From the fault until heat and current were off for good; inf: they were not.
    said : str
        All that people were told of that station beyond undisturbed work.
    """

    reaction: Reaction
    noticed_s: float
    reacted_s: float
    safe_s: float
    said: str
    lab: SideBySide
    outcome: CampaignOutcome | LabctlError | None


def entry(name: str, kind: FaultKind, station: str, at_s: float) -> str:
    """One line of a fault script, as the registry rehearses this fault."""
    needed = {key: one.example for key, one in kind.parameters.items() if one.default is None and not one.optional}
    takes = needed | dict(kind.rehearsed)
    more = "".join(f", {key}: {takes[key]}" for key in takes)
    return f"  - {{fault: {name}, station: {station}, at: {at_s:.2f} s{more}}}\n"


def let_loose(
    folder: Path, name: str, kind: FaultKind, phase: str, course: Course, *, at: str, controller: Controller
) -> Ending:
    """Run both stations while this fault strikes one of them in this phase, to the end.

    `at`: what the script names: ``autolab``, ``autolab.oven`` or ``maccor``.
    """
    station = at.partition(".")[0]
    strike_s = course.at_s[station, phase]
    lab = SideBySide(folder=folder, struck=station, controller=controller, faults=entry(name, kind, at, strike_s))
    strike_s += START_S
    outcome: CampaignOutcome | LabctlError | None
    if phase == "recovery":
        assert lab.run(dies_at_s=strike_s - 3.0) is None
        outcome = lab.run()
    elif phase == "nobody there":
        assert lab.run(dies_at_s=strike_s - 3.0) is None
        lab.at_s = strike_s + _ABSENT_S
        outcome = lab.run()
    elif phase == "between steps":
        outcome = _paused(lab, station, strike_s)
    else:
        outcome = lab.run()
    return ending_of(lab, outcome, station, strike_s, course)


def _paused(lab: SideBySide, station: str, strike_s: float) -> CampaignOutcome | LabctlError | None:
    """A person pauses the station between two steps, and lets it go on later if it is still theirs to continue."""
    asked: set[str] = set()

    def operator(now_s: float) -> list[Operated]:
        if "pause" not in asked and now_s >= strike_s - _BEFORE_S:
            asked.add("pause")
            return [Operated(verb="pause", station=station, reason=LOOK)]
        if "continue" not in asked and now_s >= strike_s + _PAUSED_S:
            asked.add("continue")
            if lab.phase(station) is StationPhase.PAUSED:
                return [Operated(verb="continue", station=station, reason="looked at")]
        return []

    return lab.run(operator=operator, wakes_s=(strike_s - _BEFORE_S, strike_s + _PAUSED_S))


def ending_of(
    lab: SideBySide, outcome: CampaignOutcome | LabctlError | None, station: str, strike_s: float, course: Course
) -> Ending:
    """Work out from journal, driver and simulators what labctl did about a fault that struck at `strike_s`."""
    rows = [row for row in lab.rows(station) if row.wall_s >= strike_s - _AHEAD_S]
    told = [(at_s, text) for at_s, text in said_of(lab, station) if at_s >= strike_s - _AHEAD_S]
    acts = [row.wall_s for row in rows if isinstance(row.event, Tripped | Failed | Alarmed | SafeAsked)]
    acts += [at_s for at_s, _ in told]
    heard = [one.at_s for one in lab.noticed[station] if one.at_s >= strike_s - _AHEAD_S]
    noticed_s = min(heard, default=min(acts, default=math.inf))
    again = any(
        isinstance(row.event, Intended) and row.event.attempt > 1 and row.step_id.endswith(("sweep", "cell"))
        for row in rows
    )
    called_s = min((row.wall_s for row in rows if _calls(row.event)), default=math.inf)
    safe_s = min(
        (row.wall_s for row in rows if isinstance(row.event, Tripped | SafeAsked | SafeSeen)), default=math.inf
    )
    if called_s < safe_s < math.inf and not again:  # a person was called, and it went safe when nobody came
        reaction = Reaction.PAUSE
    elif safe_s < math.inf:
        reaction = Reaction.SAFE
    elif lab.phase(station) is StationPhase.PAUSED:
        reaction = Reaction.PAUSE
    elif again:
        reaction = Reaction.NEW_ATTEMPT
    else:
        reaction = Reaction.ALARM if told else Reaction.NOTHING
    return Ending(
        reaction=reaction,
        noticed_s=noticed_s - strike_s,
        reacted_s=min((at_s for at_s in acts if at_s >= noticed_s - 1.0), default=math.inf) - noticed_s,
        safe_s=lab.safe_since_s.get(station, math.inf) - strike_s,
        said="\n".join(text for _, text in told),
        lab=lab,
        outcome=outcome,
    )


def _calls(event: object) -> bool:
    """Whether a person is asked to come and decide; who is sent to switch off has nothing to decide."""
    return isinstance(event, Alarmed) and event.person and "could not be made safe" not in event.what
