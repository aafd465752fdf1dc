"""Cycles of charge and discharge: efficiency, polarisation, plateau, and which of them may be averaged.

A fixed-capacity charge that ended on voltage or time put less into the cell than was meant, so that the discharge
over the *set* capacity is no efficiency and the cycle no sample of the series: it is flagged and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from labctl.analysis.cycling.cell import CellDescription
from labctl.analysis.cycling.half_cycles import CAPACITY_END, END_WORDS, NORMAL_ENDS, VOLTAGE_END, HalfCycle

ChargeEnds = Literal["capacity", "limits", "unknown"]

INTEGRAL_TOLERANCE = 0.05
RUNAWAY_CE = 1.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cycle:
    """A charge and the discharge that follows; number 0 is a discharge before any charge."""

    number: int
    charge: HalfCycle | None
    discharge: HalfCycle | None

    @property
    def CE(self) -> float | None:
        """Discharged over charged."""
        if self.charge is None or self.discharge is None or self.charge.capacity_mAh <= 0:
            return None
        return self.discharge.capacity_mAh / self.charge.capacity_mAh

    def CE_se(self, current_se_A: float | None) -> float | None:
        """Standard error of CE by an offset of the current, which charges and discharges alike.

        dI adds dI t_c to the charge and takes dI t_d from the discharge; an error of gain cancels.
        """
        if current_se_A is None or self.CE is None or self.charge is None or self.discharge is None:
            return None
        hours = (self.discharge.flowing_s + self.CE * self.charge.flowing_s) / 3600.0
        return 1000.0 * current_se_A * hours / self.charge.capacity_mAh

    @property
    def polarisation_V(self) -> float | None:
        """Mean charge less mean discharge voltage over the charge that both moved [V]."""
        if self.charge is None or self.discharge is None:
            return None
        both_mAh = min(self.charge.capacity_mAh, self.discharge.capacity_mAh)
        up = self.charge.mean_between_V(0.0, both_mAh)
        down = self.discharge.mean_between_V(0.0, both_mAh)
        return None if up is None or down is None else up - down

    def plateau_V(self, cell: CellDescription) -> float | None:
        """Mean voltage of the charge over the plateau window [V], of the capacity set, else of its own.

        None where the charge did not get to the end of the window.
        """
        if self.charge is None or self.charge.begun_before:
            return None
        whole_mAh = cell.set_mAh(self.number) or self.charge.capacity_mAh
        return self.charge.mean_between_V(cell.plateau_from * whole_mAh, cell.plateau_to * whole_mAh)


def pair(halves: Sequence[HalfCycle]) -> list[Cycle]:
    """Return cycles, charge first: an electrode of Li2S is discharged when it is made."""
    cycles: list[Cycle] = []
    number = 0
    at = 0
    while at < len(halves):
        one = halves[at]
        if one.direction == -1:  # only possible at the begin: halves alternate
            cycles.append(Cycle(number=0, charge=None, discharge=one))
            at += 1
            continue
        number += 1
        nxt = halves[at + 1] if at + 1 < len(halves) else None
        cycles.append(Cycle(number=number, charge=one, discharge=nxt))
        at += 2
    return cycles


def charge_ends(cycles: Sequence[Cycle], cell: CellDescription, *, has_end_codes: bool) -> ChargeEnds:
    """Return by what charges were meant to end: stated, or else concluded from how they did."""
    if not has_end_codes:
        return "unknown"
    if cell.fixed_capacity is not None:
        return "capacity" if cell.fixed_capacity else "limits"
    if cell.set_mAh(1) is not None:
        return "capacity"
    any_by_capacity = any(one.charge is not None and one.charge.end_code == CAPACITY_END for one in cycles)
    return "capacity" if any_by_capacity else "limits"


def end_words(half: HalfCycle, *, has_end_codes: bool) -> str:
    """Return why a half-cycle ended, for people."""
    if not has_end_codes:
        return "unknown: no column of end codes"
    if half.end_code is None:
        return "not ended"
    return END_WORDS.get(half.end_code, f"code {half.end_code}")


def _still_well(cycle: Cycle, ends: ChargeEnds, *, has_end_codes: bool) -> bool:
    """Whether the rest of a cycle is still to come, and nothing ended otherwise than it was meant to so far."""
    charge, discharge = cycle.charge, cycle.discharge
    if discharge is not None and (not has_end_codes or discharge.end_code is not None):
        return False
    if charge is None or not has_end_codes or charge.end_code is None:
        return True
    return charge.end_code == CAPACITY_END if ends == "capacity" else charge.end_code in NORMAL_ENDS


def flags(
    cycle: Cycle, ends: ChargeEnds, cell: CellDescription, *, has_end_codes: bool, goes_on: bool = False
) -> tuple[bool, list[str]]:
    """Return whether a cycle counts in averages, and what is to be said of it.

    `goes_on`: it is the last one of a test that has not ended, so that what is missing is still to come.
    """
    said: list[str] = []
    set_mAh = cell.set_mAh(cycle.number)
    if goes_on and _still_well(cycle, ends, has_end_codes=has_end_codes):
        return False, ["under way"]
    counts = cycle.charge is not None and cycle.discharge is not None
    if cycle.charge is None:
        said.append("a discharge before any charge")
    if cycle.discharge is None:
        said.append("no discharge yet")
    for word, half in (("charge", cycle.charge), ("discharge", cycle.discharge)):
        if half is None:
            continue
        if half.begun_before:
            counts = False
            said.append(f"the {word} began before the data do")
        if has_end_codes and half.end_code is None:
            counts = False
            said.append(f"the {word} has not ended")
        elif has_end_codes and half.end_code not in NORMAL_ENDS:
            counts = False
            said.append(f"the {word} ended by {end_words(half, has_end_codes=True)} ({half.end_code})")
        elif has_end_codes and word == "charge" and ends == "capacity" and half.end_code != CAPACITY_END:
            counts = False
            said.append(
                f"the charge ended by {end_words(half, has_end_codes=True)} ({half.end_code}), not by capacity (136)"
            )
        elif has_end_codes and word == "discharge" and cell.discharge_to_V is not None and half.end_code != VOLTAGE_END:
            counts = False
            said.append(
                f"the discharge ended by {end_words(half, has_end_codes=True)} ({half.end_code}), not by voltage (133)"
            )
        if (
            not half.begun_before
            and half.integrated_mAh > 0
            and abs(half.capacity_mAh / half.integrated_mAh - 1) > INTEGRAL_TOLERANCE
        ):
            counts = False
            said.append(
                f"the {word} counts {half.capacity_mAh:.6g} mAh, but its rows integrate to {half.integrated_mAh:.6g}"
            )
    charge = cycle.charge
    if charge is not None and charge.end_code == CAPACITY_END and set_mAh is not None:
        missed = charge.capacity_mAh / set_mAh - 1.0
        if abs(missed) > 0.005:
            said.append(f"the charge ended by capacity at {100 * (1 + missed):.2f} % of what was set")
    if cycle.CE is not None and cycle.CE > RUNAWAY_CE and counts:
        said.append(f"CE {100 * cycle.CE:.1f} %: more came out than went in")
    return counts, said
