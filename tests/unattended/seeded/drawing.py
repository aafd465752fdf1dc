"""Everything that happens in a campaign, drawn from its seed before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from labctl.clock import VirtualClock
from labctl.run.policy import OnFault, Policy
from labctl_sim_faults import FaultKind, registry
from labctl_sim_topspin.faults import FAULTS as CONSOLE_FAULTS
from tests.unattended.seeded.console_faults import ConsoleFault
from tests.unattended.seeded.cycler import Cycler
from tests.unattended.seeded.ovens import OvenSite
from tests.unattended.seeded.plans import cycling_steps, ladder_steps, spectrometer_steps
from tests.unattended.seeded.sites import Site
from tests.unattended.seeded.spectrometer import Spectrometer
from tests.unattended.seeded.watched import Death, Loss

START_S = 1_768_200_000.0
KNOWN = registry()
VERBS = ("pause", "pause", "continue", "continue", "continue", "abort", "skip", "skip", "acknowledge")
_LOST = ("", "begin", "measurement", "measurement", "measurement", "make_safe", "collect", "evidence")
_ON_FAULT: tuple[OnFault, ...] = ("safe", "pause")
_ODDS = (("nmr", 0.8), ("oven", 0.12), ("autolab", 0.1), ("cycler", 0.22))


@dataclass
class Schedule:
    """What is to happen beside the plan; times are the lab's [s].

    Attributes
    ----------
    deaths : list
        Of one engine after the other.
    verbs : list
        What persons ask for, and when.
    full : pair or None
        When the disk is full.
    jumps : list
        When the wall clock of labctl's computer is set, and by how much [s].
    losses : mapping
        Exchanges that get lost, by station.
    taken_slot : str
        Step whose place in the run folder somebody else has filled; empty: none.
    """

    deaths: list[Death] = field(default_factory=list)
    verbs: list[tuple[float, str]] = field(default_factory=list)
    full: tuple[float, float] | None = None
    jumps: list[tuple[float, float]] = field(default_factory=list)
    losses: dict[str, list[Loss]] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    script: str = ""
    console: list[ConsoleFault] = field(default_factory=list)
    taken_slot: str = ""

    def lines(self) -> list[str]:
        """The schedule for people."""
        told = [f"on a fault: {dict(self.policy.on_fault)}"]
        told += [f"nmr suffers {fault}" for fault in self.console]
        told += [f"the script says\n{self.script}"] if self.script else []
        told += [f"{name} loses {losses}" for name, losses in self.losses.items() if losses]
        told += [f"an engine dies: {death}" for death in self.deaths if death.at]
        told += [f"a person asks at {at_s - START_S:.0f} s: {verb}" for at_s, verb in self.verbs]
        told += [f"the clock is set at {at_s - START_S:.0f} s by {by_s:+.0f} s" for at_s, by_s in self.jumps]
        if self.full:
            told.append(f"the disk is full from {self.full[0] - START_S:.0f} to {self.full[1] - START_S:.0f} s")
        return [*told, *([f"somebody's data stand where {self.taken_slot} goes"] if self.taken_slot else [])]


def draw(
    chance: random.Random, clock: VirtualClock, folder: Path, kinds: tuple[str, ...] = ()
) -> tuple[dict[str, Site], Schedule]:
    """Draw one to three stations, their plans, and what goes wrong; with `kinds` the spectrometer and its faults."""
    names = [name for name, odds in _ODDS if chance.random() < odds][:3] or ["nmr"]
    names = ["nmr"] if kinds else names
    controllers = {name: chance.choice(("lakeshore", "eurotherm")) for name in ("oven", "autolab")}
    schedule = Schedule()
    for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 4)) if not kinds else 2):
        _draw_fault(chance, chance.choice(names) if not kinds else "nmr", controllers, kinds, schedule)
    path = None
    if schedule.script:
        path = folder / "faults.yaml"
        path.write_text("version: 1\nfaults:\n" + schedule.script, encoding="utf-8")
    sites: dict[str, Site] = {}
    for name in names:
        match name:
            case "nmr":
                site = Spectrometer(name, clock, folder, spectrometer_steps(chance))
                site.faults = list(schedule.console)
                sites[name] = site
            case "cycler":
                steps = cycling_steps(name, chance)
                sites[name] = Cycler(name, clock, folder, steps, script=path, chance=chance)
            case _:
                steps = ladder_steps(name, chance)
                sites[name] = OvenSite(name, clock, folder, steps, controller=controllers[name], script=path)
    _draw_rest(chance, sites, schedule)
    return sites, schedule


def _draw_rest(chance: random.Random, sites: dict[str, Site], schedule: Schedule) -> None:
    """Deaths, persons, the disk, the clock, the wires, somebody else's data."""
    for _ in range(chance.choice((0, 0, 1, 2, 3))):
        at = chance.choice(("turn", "commit", "call", "begin", "measuring", "measuring"))
        most = chance.choice((4, 12)) if at in {"begin", "measuring"} else chance.choice((4, 20, 80, 200))
        schedule.deaths.append(Death(at=at, number=chance.randint(1, most), after=chance.random() < 0.5))
    for _ in range(chance.choice((0, 0, 1, 2))):
        schedule.verbs.append((START_S + _moment_s(chance), chance.choice(VERBS)))
    schedule.verbs.sort()
    if chance.random() < 0.15:
        begins_s = START_S + 6000.0 * chance.random()
        schedule.full = (begins_s, begins_s + chance.choice((60.0, 600.0, 4000.0)))
    if chance.random() < 0.15:
        by_s = chance.choice((-3600.0, -600.0, 3600.0, 86_400.0))
        schedule.jumps.append((START_S + _moment_s(chance), by_s))
    for name in sites:
        lost = schedule.losses[name] = []
        if chance.random() < 0.35:
            for _ in range(chance.choice((1, 1, 2))):
                of = chance.choice(_LOST)
                call = chance.randint(*((1, chance.choice((2, 8))) if of else (2, chance.choice((10, 40, 160)))))
                calls = chance.choice((1, 1, 2, 5))
                lost.append(Loss(call=call, calls=calls, reply=chance.random() < 0.6, of=of))
    if "nmr" in sites and chance.random() < 0.05:
        acquires = [step.id for step in sites["nmr"].steps if hasattr(step.task, "expno_slot")]
        schedule.taken_slot = chance.choice(acquires)
    on_fault = {name: chance.choice(_ON_FAULT) for name in sites}
    schedule.policy = Policy(
        on_fault=on_fault,
        interrupted=cast("Any", chance.choice(("again", "again", "ask"))),
        halted=cast("Any", chance.choice(("accept", "again", "ask"))),
    )


def _moment_s(chance: random.Random) -> float:
    return float(chance.choice((600.0, 3000.0, 12_000.0)) * chance.random())


def _draw_fault(
    chance: random.Random, name: str, controllers: dict[str, str], kinds: tuple[str, ...], schedule: Schedule
) -> None:
    at_s = _moment_s(chance)
    if name == "nmr":
        kind = chance.choice(kinds or Spectrometer.KINDS)
        lasts = CONSOLE_FAULTS[kind].lasts if kind in CONSOLE_FAULTS else "optional"
        for_s = chance.choice((20.0, 300.0, 2400.0)) if lasts == "needed" or chance.random() < 0.5 else None
        schedule.console.append(ConsoleFault(kind=kind, at_s=START_S + at_s, for_s=for_s))
        return
    instrument, station = {
        "oven": (controllers["oven"], "oven"),
        "autolab": ("autolab", "autolab"),
        "cycler": ("maccor", "cycler"),
    }[name]
    if name == "autolab" and chance.random() < 0.5:
        instrument, station = controllers["autolab"], "autolab.oven"
    table = KNOWN[instrument].kinds
    fault = chance.choice([name for name, kind in table.items() if kind.only in {"", instrument}])
    schedule.script += _entry(fault, table[fault], station, at_s, chance)


def _entry(name: str, kind: FaultKind, station: str, at_s: float, chance: random.Random) -> str:
    """One line of a fault script, with whatever this fault takes."""
    entry = f"  - {{fault: {name}, station: {station}, at: {at_s:.1f} s"
    if kind.lasts == "needed" or (kind.lasts and chance.random() < 0.5):
        entry += f", for: {chance.choice((20, 300, 2400))} s"
    for key, parameter in kind.parameters.items():
        if key == "channel" or (parameter.optional and chance.random() < 0.7):
            continue
        if parameter.default is not None and chance.random() < 0.5:
            continue
        entry += f", {key}: {kind.rehearsed.get(key, parameter.example)}"
    return entry + "}\n"
