"""Dry runs: which sample file is in which simulated station, and the person who changes it there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.locating import sample_file
from labctl.errors import InputError
from labctl.run.events import Alarmed, Event, Operated
from labctl.run.lifecycle import StationPhase

if TYPE_CHECKING:
    from labctl.plan.steps import Plan
    from labctl.protocol.lab import Lab
    from labctl.protocol.model import Protocol
    from labctl.run.journal import Row
    from labctl.run.state import State
    from labctl.station.stations import OpenStations

SAMPLES = "samples"
"""Folder of the simulated lab with the sample files of a campaign, where nobody named one for all of it."""


def samples_of(wanted: str, protocol: Protocol, lab: Lab, lab_path: Path) -> tuple[Path, dict[str, Path]]:
    """Return the sample file a dry run begins with, and those it needs by name; none where one is for everything.

    Parameters
    ----------
    wanted : str
        Asked for on the command line: for all stations, all the time; empty: those that protocol and lab file name.

    Raises
    ------
    InputError
        No sample is named, or a name is of no file.
    """
    if wanted:
        return sample_file(wanted, beside=lab_path), {}
    names = dict.fromkeys(_names(protocol, lab))
    if not names:
        wanted_here = "--simulate SAMPLE, or `simulated_as` in the protocol"
        raise InputError("no sample to simulate is named", expected=wanted_here)
    files = {Path(name).stem: sample_file(name, beside=lab_path) for name in names}
    return next(iter(files.values())), files if len(files) > 1 else {}


def samples_by_procedure(plan: Plan, protocol: Protocol, lab: Lab, folder: Path) -> dict[str, Path]:
    """Return the frozen sample file of each procedure (``station/name``) in the order of the plan."""
    found = {}
    for prefix, procedure in zip(plan.settings, protocol.procedures, strict=True):
        own = protocol.sample_of(procedure).simulated_as or protocol.sample.simulated_as
        named = own or lab.station(procedure.wanted.station).sample or ""
        file = folder / SAMPLES / f"{Path(named).stem}.yaml"
        found[prefix] = file if file.is_file() else folder / "sample.yaml"
    return found


def first_samples(by_procedure: Mapping[str, Path]) -> dict[str, Path]:
    """Return what each station holds at the start."""
    return {prefix.partition("/")[0]: file for prefix, file in reversed(list(by_procedure.items()))}


def _names(protocol: Protocol, lab: Lab) -> Iterable[str]:
    for procedure in protocol.procedures:
        named = protocol.sample_of(procedure).simulated_as or protocol.sample.simulated_as
        station = lab.stations.get(procedure.wanted.station)
        if named or (station is not None and station.sample):
            yield named or str(station.sample if station is not None else "")


class SimulatedPerson:
    """Changes samples in a dry run when a station asks for it, and says so; a bystander and an operator at once."""

    def __init__(self, opened: OpenStations, by_procedure: Mapping[str, Path]) -> None:
        self._opened = opened
        self._by_procedure = by_procedure
        self._words: list[Operated] = []

    def seen(self, _row: Row, _event: Event, state: State) -> None:
        """Go to every station that stands because a sample is to be changed."""
        for name, station in state.stations.items():
            steps = state.of_station[name]
            if station.phase is not StationPhase.PAUSED or station.index >= len(steps):
                continue
            step = steps[station.index]
            asked = step.person and station.hold == step.person
            if asked and not any(word.station == name for word in self._words):
                self._opened.change_sample(name, self._by_procedure[f"{name}/{step.procedure}"])
                reason = f"the simulated person was asked to {step.person}"
                self._words.append(Operated(station=name, verb="continue", reason=reason))

    def said(self) -> Sequence[Alarmed]:
        """Return nothing: all is said as an operator."""
        return ()

    def __call__(self) -> Sequence[Operated]:
        """Return what was done since the last call."""
        words = tuple(self._words)
        self._words.clear()
        return words
