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

from labctl_sim_faults import FaultKind, Parameter, Trigger, read_script

STATION = "spectrometer"

TRIGGERS: Trigger = {"title": "text", "expno": "count", "acquisition": "count", "step": "text"}
"""What `during` may name: part of an acquisition's title, its EXPNO, its number since the lab was made; or part of the
title of any step that labctl has the console begin, such as ``T00/settle``."""

FAULTS: Mapping[str, FaultKind] = {
    "heater_trip": FaultKind(what="the VT unit cuts its own heater; a person re-arms it after `for`", lasts="optional"),
    "gas_loss": FaultKind(
        what="VT gas falls to nothing; the unit's cut-out drops the heater, which stays off until a person "
        "switches it on",
        lasts="optional",
    ),
    "spin_loss": FaultKind(
        what="the rotor loses its drive and runs down; after `for` a person spins it up", lasts="optional"
    ),
    "spin_off_rate": FaultKind(
        what="the rotor runs off its rate",
        lasts="optional",
        parameters={"by": Parameter(what="how far off", unit="Hz", example="200 Hz", signed=True)},
    ),
    "overshoot": FaultKind(
        what="the VT unit's loop runs away from its set point",
        lasts="optional",
        parameters={"by": Parameter(what="by how much", unit="K", example="15 K", default=15.0, difference=True)},
    ),
    "sensor_stuck": FaultKind(what="the temperature reading stays what it was", lasts="optional"),
    "sensor_silent": FaultKind(what="the VT unit does not answer: read-backs fail", lasts="optional"),
    "halt": FaultKind(what="somebody types halt: the scan is finished, what was acquired is kept"),
    "stop": FaultKind(what="somebody types stop: ends at once, the current row is lost"),
    "kill": FaultKind(what="somebody types kill zg: the dataset is left without its end"),
    "executor_killed": FaultKind(what="somebody ends the AU program that carries out steps"),
    "guard_killed": FaultKind(what="somebody ends the AU program that watches"),
    "wrong_foreground": FaultKind(what="somebody opens another dataset in TopSpin's window"),
    "occupied": FaultKind(what="somebody acquires on a dataset of their own, if the console is free", lasts="needed"),
    "topspin_restart": FaultKind(what="TopSpin is restarted: AU programs and setdef are gone, the acquisition goes on"),
    "dialog": FaultKind(what="a modal dialog holds up every command of AU programs", lasts="needed"),
    "ser_late": FaultKind(
        what="raw data reach the disk late, after the audit trail says completed",
        parameters={"by": Parameter(what="how late", unit="s", example="90 s")},
    ),
    "ser_short": FaultKind(
        what="raw data lack their last rows (or part of a fid)",
        parameters={"by": Parameter(what="rows that are missing", form="count", example="12")},
    ),
    "disk_full": FaultKind(what="nothing more can be written to the data disk", lasts="optional"),
    "slow_disk": FaultKind(
        what="the data disk is slow: read-backs and the end of an acquisition take longer",
        lasts="optional",
        parameters={"by": Parameter(what="how much longer", unit="s", example="20 s", default=20.0)},
    ),
    "share_gone": FaultKind(what="the console's folders cannot be reached over the network", lasts="needed"),
    "clock_jump": FaultKind(
        what="the clock of the console's computer is set",
        parameters={"by": Parameter(what="by how much", unit="s", example="1 h", signed=True)},
    ),
    "power_cut": FaultKind(
        what="no mains: TopSpin, acquisition, heater, gas and drive are gone, the rotor runs down; after `for` power "
        "and gas are back",
        lasts="optional",
    ),
    "overflow": FaultKind(what="the receiver overflows in the next acquisition"),
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
