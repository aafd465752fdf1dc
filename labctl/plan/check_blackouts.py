"""Blackouts that cannot be meant so, and what the plan loses by waiting for them."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.plan.estimate import Estimate
from labctl.plan.expand import as_planned
from labctl.plan.findings import Notebook, nth
from labctl.ports import Measurement
from labctl.protocol.blackout import Blackout as Written
from labctl.units import duration_text


def check_blackouts(note: Notebook, blackouts: Sequence[Written]) -> None:
    """Blackouts that end before they begin, or overlap."""
    for index, blackout in enumerate(blackouts):
        if blackout.to_epoch_s <= blackout.from_epoch_s:
            note.error(("blackouts", index, "to"), "is not later than `from`", expected="the end of the blackout")
        for other, earlier in enumerate(blackouts[:index]):
            if blackout.from_epoch_s < earlier.to_epoch_s and earlier.from_epoch_s < blackout.to_epoch_s:
                note.warning(("blackouts", index), f"overlaps the {nth(other + 1)} blackout")


def check_waits(note: Notebook, station: str, written: Sequence[Written], cost: Estimate, start_s: float) -> None:
    """What waits for each blackout and how long, or would run through one."""
    for index, one in enumerate(written):
        blackout = as_planned(station, one)
        waiting = [timing for timing in cost.timings if timing.waits_for == blackout]
        if waiting:
            lost_s = sum(timing.waits_s for timing in waiting)
            note.warning(
                ("blackouts", index),
                f"{waiting[0].step.id} waits {duration_text(lost_s)} for its end ({blackout.name})",
                expected="another start, or shorter 2Ds (`max_dataset`)",
            )
        for timing in cost.timings:
            acquires = timing.step.station == station and isinstance(timing.step.task, Measurement)
            meets = start_s + timing.begin_s < blackout.to_s and blackout.from_s < start_s + timing.end_s
            if blackout.during == "run_on" and acquires and meets:
                note.warning(
                    ("blackouts", index),
                    f"{timing.step.id} would be running ({blackout.name})",
                    expected="`during: wait`, if that would harm its data",
                )
