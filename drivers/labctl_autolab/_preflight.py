"""Looking at an Autolab before a campaign: is it ours, is its cell off, can it do the sweeps; nothing is switched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from labctl.errors import InstrumentError
from labctl.ports import Check, Errand, SweepImpedance
from labctl_autolab._potentiostat import Potentiostat
from labctl_autolab._settings import Settings

_SPARE = 1.2
_RANGE_MAX_A = 1e-3
_FREQUENCY_MIN_Hz, _FREQUENCY_MAX_Hz = 1e-5, 1e6
_AMPLITUDE_MAX_V = 0.35


def why_not(task: SweepImpedance) -> str:
    """Return what of a sweep is beyond any Autolab with a FRA32M, empty if nothing is."""
    if not task.frequencies_Hz:
        return "no frequencies"
    if not all(_FREQUENCY_MIN_Hz <= one <= _FREQUENCY_MAX_Hz for one in task.frequencies_Hz):
        return f"frequencies beyond {_FREQUENCY_MIN_Hz:g} Hz to {_FREQUENCY_MAX_Hz:g} Hz"
    if not 0.0 < task.amplitude_V_rms <= _AMPLITUDE_MAX_V:
        return f"an amplitude of {task.amplitude_V_rms:g} V"
    if task.bias_V is not None and not abs(task.bias_V) <= 10.0:
        return f"a bias of {task.bias_V:g} V"
    if not (task.integration_s >= 0.0 and task.cycles >= 1 and task.settle_s >= 0.0):
        return f"{task.integration_s:g} s, {task.cycles} cycles, {task.settle_s:g} s of settling"
    return ""


def autolab_checks(
    errand: Errand, *, settings: Settings, potentiostat: Potentiostat, data_dir: Path, procedure: str
) -> Iterator[Check]:
    """Yield what speaks for and against; called where the SDK's objects live.

    Parameters
    ----------
    procedure : str
        Path of the ``.nox`` as the instrument's computer has it; empty on the direct route.
    """
    yield from _instrument(settings, potentiostat)
    if settings.ladder.highest_A > _RANGE_MAX_A * 1.01:
        yield Check(
            verdict="warning",
            what="ranging may go to a range that discharges a cell by accident",
            value=f"{settings.ladder.highest_A:g} A",
            expected=f"range_max of at most {_RANGE_MAX_A:g} A",
        )
    if procedure and not Path(procedure).is_file():
        yield Check(verdict="refuse", what="the procedure is not there", value=procedure, next_step="Save it from NOVA")
    sweeps = [task for task in errand.tasks if isinstance(task, SweepImpedance)]
    faults = {what for task in sweeps if (what := why_not(task))}
    for what in sorted(faults):
        yield Check(verdict="refuse", what=f"it cannot measure with {what}")
    if sweeps and not faults:
        yield Check(verdict="ok", what=f"{len(sweeps)} sweeps are within what the analyser can do")
    yield _folder(errand, data_dir)


def _instrument(settings: Settings, potentiostat: Potentiostat) -> Iterator[Check]:
    try:
        cell_on = potentiostat.glance()
    except InstrumentError as problem:
        yield Check(
            verdict="refuse",
            what=f"the potentiostat cannot be taken: {problem.what}",
            value=problem.command,
            next_step=problem.next_step or "Close NOVA, look at USB and power",
        )
        return
    yield Check(verdict="ok", what="the potentiostat answers, and no other program holds it", value=settings.instrument)
    yield Check(
        verdict="warning" if cell_on else "ok",
        what="the cell is switched ON" if cell_on else "the cell is off",
        next_step="Somebody left it on: labctl switches it off when it opens the station" if cell_on else "",
    )


def _folder(errand: Errand, folder: Path) -> Check:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(there, os.W_OK):
        return Check(verdict="refuse", what="the folder for results cannot be written to", value=str(folder))
    free = shutil.disk_usage(there).free
    enough = free >= _SPARE * errand.disk_bytes
    return Check(
        verdict="ok" if enough else "refuse",
        what="space on the disk of the results",
        value=f"{free / 1e9:.1f} GB free in {there}",
        expected="" if enough else f"{_SPARE * errand.disk_bytes / 1e9:.1f} GB for the campaign",
    )
