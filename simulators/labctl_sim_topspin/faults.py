"""Faults of the simulated console: what goes wrong, when, and for how long.

::

    version: 1
    faults:
      - fault: heater_trip
        at: 3 h                    # after the simulated lab was made
      - fault: gas_loss
        during: {title: tmix03, after: 10 min}    # counted from the start of the first such acquisition
        for: 20 min
      - fault: ser_late
        during: {acquisition: 4}   # the fourth acquisition of this lab
        by: 90 s

How such a script is read stands in `labctl_sim_faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labctl_sim_faults import FaultKind, Parameter, Reaction, Trigger, read_script

STATION = "spectrometer"

TRIGGERS: Trigger = {"title": "text", "expno": "count", "acquisition": "count", "step": "text"}
"""What `during` may name: part of an acquisition's title, its EXPNO, its number since the lab was made; or part of the
title of any step that labctl has the console begin, such as ``T00/settle``."""

_S = Reaction.SAFE
_ROTOR = "the rotor may be cracked: do not eject it hot, do not spin it up again unseen"
_HOT = "probe and rotor: do not eject a hot rotor"
_UNSEEN = "nobody knows how hot it is"
_NOT_ACQUIRING: Mapping[str, Reaction] = dict.fromkeys(
    ("heating", "settling", "tuning", "quiet period", "hand-off", "cooling", "between steps", "recovery"),
    Reaction.NOTHING,
)
_BY_PERSON: Mapping[str, Reaction] = {"2D early": Reaction.NEW_ATTEMPT, **_NOT_ACQUIRING}
_DISK: Mapping[str, Reaction] = {
    **dict.fromkeys(("heating", "cooling", "between steps"), _S),
    **dict.fromkeys(("settling", "tuning", "quiet period", "hand-off", "recovery"), Reaction.ALARM),
}


def _silent(what: str, *, lasts: Literal["", "optional", "needed"] = "", rehearsed: str = "") -> FaultKind:
    """Return a fault by which agents or folders fall silent."""
    return FaultKind(
        what=what,
        lasts=lasts,
        reaction=_S,
        message="was last read",
        hazard=_UNSEEN,
        within_s=140.0,
        growing_s=920.0,
        rehearsed={"for": rehearsed} if rehearsed else {},
    )


FAULTS: Mapping[str, FaultKind] = {
    "heater_trip": FaultKind(
        what="the VT unit cuts its own heater; a person re-arms it after `for`",
        lasts="optional",
        reaction=_S,
        otherwise={"cooling": Reaction.NOTHING},
        message="before any heat",
        hazard="none while it is off; something tripped it",
        within_s=120.0,
    ),
    "gas_loss": FaultKind(
        what="VT gas falls to nothing; the unit's cut-out drops the heater, which stays off until a person "
        "switches it on",
        lasts="optional",
        reaction=_S,
        message="too little gas",
        hazard="without gas the heater burns out, and hot parts are not cooled",
        within_s=20.0,
    ),
    "spin_loss": FaultKind(
        what="the rotor loses its drive and runs down; after `for` a person spins it up",
        lasts="optional",
        reaction=_S,
        message="the rotor is off its rate",
        hazard=_ROTOR,
        within_s=20.0,
    ),
    "spin_off_rate": FaultKind(
        what="the rotor runs off its rate",
        lasts="optional",
        parameters={"by": Parameter(what="how far off", unit="Hz", example="300 Hz", signed=True)},
        reaction=_S,
        message="the rotor is off its rate",
        hazard=_ROTOR,
        within_s=20.0,
    ),
    "overshoot": FaultKind(
        what="the VT unit's loop runs away from its set point",
        lasts="optional",
        parameters={"by": Parameter(what="by how much", unit="K", example="15 K", default=15.0, difference=True)},
        reaction=_S,
        otherwise={"cooling": Reaction.NOTHING},
        message="switch the mains off by hand",
        hazard=_HOT,
        within_s=90.0,
        rehearsed={"for": "40 min"},
    ),
    "sensor_stuck": FaultKind(
        what="the temperature reading stays what it was",
        lasts="optional",
        reaction=_S,
        message="no longer changes",
        hazard=_UNSEEN,
        within_s=120.0,
        rehearsed={"for": "30 min"},
    ),
    "sensor_silent": FaultKind(
        what="the VT unit does not answer: read-backs fail",
        lasts="optional",
        reaction=_S,
        message="temperature",
        hazard=_UNSEEN,
        within_s=140.0,
        growing_s=920.0,
        rehearsed={"for": "25 min"},
    ),
    "halt": FaultKind(
        what="somebody types halt: the scan is finished, what was acquired is kept",
        reaction=Reaction.ALARM,
        otherwise=_BY_PERSON,
        message="halted early",
    ),
    "stop": FaultKind(
        what="somebody types stop: ends at once, the current row is lost",
        reaction=Reaction.ALARM,
        otherwise=_BY_PERSON,
        message="halted early",
    ),
    "kill": FaultKind(
        what="somebody types kill zg: the dataset is left without its end",
        reaction=Reaction.NEW_ATTEMPT,
        otherwise=_NOT_ACQUIRING,
        message="attempt 2 follows",
    ),
    "executor_killed": FaultKind(
        what="somebody ends the AU program that carries out steps",
        reaction=_S,
        message="xau labctl_executor",
        hazard="a warm sample that nobody measures",
        within_s=3600.0,
    ),
    "guard_killed": _silent("somebody ends the AU program that watches"),
    "wrong_foreground": FaultKind(
        what="somebody opens another dataset in TopSpin's window; every command of ours names its own",
        reaction=Reaction.NOTHING,
    ),
    "occupied": FaultKind(
        what="somebody acquires on a dataset of their own, if the console is free",
        lasts="needed",
        reaction=Reaction.RETRY,
        rehearsed={"for": "10 min"},
    ),
    "spooling": FaultKind(
        what="somebody switches automatic spooling on: zg is queued and returns at once, the acquisition goes on",
        lasts="optional",
        reaction=Reaction.ALARM,
        otherwise={"cooling": Reaction.NOTHING},
        message="automatic spooling",
    ),
    "topspin_restart": _silent("TopSpin is restarted: AU programs and setdef are gone, the acquisition goes on"),
    "dialog": _silent("a modal dialog holds up every command of AU programs", lasts="needed", rehearsed="40 min"),
    "ser_late": FaultKind(
        what="raw data reach the disk late, after the audit trail says completed",
        parameters={"by": Parameter(what="how late", unit="s", example="90 s")},
        reaction=Reaction.RETRY,
    ),
    "ser_short": FaultKind(
        what="raw data lack their last rows (or part of a fid)",
        parameters={"by": Parameter(what="rows that are missing", form="count", example="2")},
        reaction=Reaction.NEW_ATTEMPT,
        otherwise={"cooling": Reaction.NOTHING},
        message="attempt 2 follows",
    ),
    "disk_full": FaultKind(
        what="nothing more can be written to the data disk",
        lasts="optional",
        reaction=Reaction.NEW_ATTEMPT,
        otherwise=_DISK,
        message="full",
        hazard="what is acquired now may not be written",
        rehearsed={"for": "40 min"},
    ),
    "slow_disk": FaultKind(
        what="the data disk is slow: read-backs and the end of an acquisition take longer",
        lasts="optional",
        parameters={"by": Parameter(what="how much longer", unit="s", example="20 s", default=20.0)},
        reaction=Reaction.RETRY,
        rehearsed={"for": "20 min"},
    ),
    "share_gone": _silent(
        "the console's folders cannot be reached over the network; the guard acts alone when the lease runs out",
        lasts="needed",
        rehearsed="30 min",
    ),
    "clock_jump": FaultKind(
        what="the clock of the console's computer is set",
        parameters={"by": Parameter(what="by how much", unit="s", example="-1 h", signed=True)},
        reaction=Reaction.RETRY,
    ),
    "power_cut": _silent(
        "no mains: TopSpin, acquisition, heater, gas and drive are gone, the rotor runs down; after `for` power "
        "and gas are back",
        lasts="optional",
        rehearsed="10 min",
    ),
    "overflow": FaultKind(
        what="the receiver overflows in the next acquisition",
        reaction=Reaction.ALARM,
        otherwise={"cooling": Reaction.NOTHING},
        message="the receiver overflowed",
    ),
}
"""Every fault the console knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a fault script, in SI.

    Attributes
    ----------
    at_s : float or None
        Time after the lab was made; None if the fault waits for an acquisition.
    title, expno, acquisition : str, int, int
        Which acquisition starts the count ("" and 0: any); `after_s` counts from its start.
    step : str
        Which step of the executor starts it, if not an acquisition.
    for_s : float or None
        How long it lasts; None: until somebody mends it.
    by : float
        Size: hertz, seconds or rows, as the kind of fault has it.
    place : str
        ``file:line`` for messages.
    """

    kind: str
    at_s: float | None = None
    title: str = ""
    expno: int = 0
    acquisition: int = 0
    step: str = ""
    after_s: float = 0.0
    for_s: float | None = None
    by: float = 0.0
    place: str = ""

    def waits_for(self, *, title: str, expno: int, number: int) -> bool:
        """Whether this acquisition starts the fault's count."""
        return (
            self.at_s is None
            and not self.step
            and self.title in title
            and self.expno in {0, expno}
            and self.acquisition in {0, number}
        )


def load_faults(path: Path, *, station: str = "") -> tuple[Fault, ...]:
    """Return the faults of a script, in its order; those of other stations are passed over.

    Raises
    ------
    InputError
        One finding per mistake, with file, line and column.
    """
    return tuple(
        Fault(
            kind=entry.kind,
            at_s=entry.at_s,
            title=str(entry.trigger.get("title", "")),
            expno=int(entry.trigger.get("expno", 0)),
            acquisition=int(entry.trigger.get("acquisition", 0)),
            step=str(entry.trigger.get("step", "")),
            after_s=entry.after_s,
            for_s=entry.for_s,
            by=entry.number("by"),
            place=entry.place,
        )
        for entry in read_script(path, FAULTS, station=station, triggers=TRIGGERS)
    )
