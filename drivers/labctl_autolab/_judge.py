"""What a spectrum says against itself before anybody fits it: an open cell, a short one, too many overloads. Pure.

An open cell succeeds: every point is there, nothing overloads, and only the size of the current betrays it. So a sweep
of the empty holder is measured once and kept in the lab file; a cell that passes no more than the empty holder did, at
every frequency, is open.

A contact that is lost or comes back in mid-sweep leaves a spectrum of two things. Between two frequencies the modulus
of what is made of resistors, capacitors, constant phases and a lead's inductance changes by no more than the ratio of
the frequencies, up or down. A step beyond that, which lasts, is no property of a cell. One that comes with the first
or before the last point cannot be seen to last, and counts if it is so large that no disturbance makes it.

A pellet between electrodes that block is a resistor nowhere but between its own arc and the polarisation of its
electrodes. A spectrum that is a plain resistor's at every frequency is that of a bridge beside the pellet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from labctl.ports import SweepImpedance
from labctl_autolab._record import Point, Rig, current_noise_A

MORE_THAN_OPEN = 1.10
"""A cell must pass so many times what the empty holder does, at some frequency at least."""
NOISES = 4.0
OVERLOADED_SHARE = 0.2
"""From this share of points on, a spectrum with overloads is none."""
JUMP = 1.5
"""A step so many times beyond what a cell can do between neighbouring frequencies is a contact's."""
JUMP_NOISES = 8.0
JUMP_AT_END = 300.0
"""The same for a single point at either end."""
RESISTIVE = math.tan(math.radians(3.0))
"""-Z'' is no more than this share of Z'; a lead's inductance may make Z'' positive."""
RESISTIVE_SPREAD = 1.1
POLARISES_ohm_Hz = 3e5
"""Below this product of resistance and lowest frequency electrodes of up to 1e-5 F must show by `RESISTIVE`."""
RESISTIVE_POINTS = 5
RESISTIVE_SPAN = 100.0
NOTHING_A = 1e-13
"""Less than this (rms) at every frequency is no cell, whatever the holder."""


def is_open(points: Sequence[Point], task: SweepImpedance, rig: Rig) -> bool:
    """Whether these points are those of an empty holder or of a lead that fell off."""
    if not points:
        return False
    noise_S = NOISES * (current_noise_A(task, rig) or 0.0) / task.amplitude_V_rms
    if all(1.0 / point.modulus_ohm * task.amplitude_V_rms < NOTHING_A for point in points):
        return True
    if rig.open_capacitance_F is None:
        return False
    leakage_S = 1.0 / rig.open_leakage_ohm if rig.open_leakage_ohm else 0.0
    for point in points:
        empty_S = math.hypot(leakage_S, 2.0 * math.pi * point.frequency_Hz * rig.open_capacitance_F)
        if 1.0 / point.modulus_ohm > MORE_THAN_OPEN * empty_S + noise_S:
            return False
    return True


def contact_lost_Hz(points: Sequence[Point], task: SweepImpedance, rig: Rig) -> float | None:
    """Return the frequency at which a contact was lost or came back, None if none did.

    Two points on either side must agree on the step, so that one point with the mains in it is none.
    """
    noise_S = JUMP_NOISES * (current_noise_A(task, rig) or 0.0) / task.amplitude_V_rms
    sound = [point for point in points if not point.overload and point.modulus_ohm > 0.0]
    for at in range(1, len(sound) - 2):
        steps = {_step(one, other, noise_S) for one in sound[at - 1 : at + 1] for other in sound[at + 1 : at + 3]}
        if steps in ({-1}, {1}):
            return sound[at + 1].frequency_Hz
    for one, other in (sound[:2], sound[-2:]) if len(sound) > 2 else ():
        if _step(one, other, noise_S, JUMP_AT_END):
            return other.frequency_Hz
    return None


def bridge_ohm(points: Sequence[Point]) -> float | None:
    """Return the resistance of a bridge beside the pellet, None if this is no plain resistor's spectrum."""
    sound = [point for point in points if not point.overload]
    if len(sound) < RESISTIVE_POINTS:
        return None
    lowest_Hz, highest_Hz = (pick(point.frequency_Hz for point in sound) for pick in (min, max))
    least_ohm, most_ohm = (pick(point.Z_real_ohm for point in sound) for pick in (min, max))
    if highest_Hz < RESISTIVE_SPAN * lowest_Hz or most_ohm * lowest_Hz >= POLARISES_ohm_Hz:
        return None
    if not 0.0 < most_ohm <= RESISTIVE_SPREAD * least_ohm:
        return None
    if any(-point.Z_imag_ohm > RESISTIVE * point.Z_real_ohm for point in sound):
        return None
    return sum(point.Z_real_ohm for point in sound) / len(sound)


def bridged(points: Sequence[Point]) -> str:
    """Say for people that these points are those of a bridge; empty if they are not."""
    found_ohm = bridge_ohm(points)
    if found_ohm is None:
        return ""
    return (
        f"bridged? a plain resistor of {found_ohm:.3g} ohm at every frequency: neither the pellet nor its electrodes"
        " show. Look for a bridge beside the pellet; with electrodes that do not block, set `bridged: ignore`"
    )


def _step(one: Point, other: Point, noise_S: float, jump: float = JUMP) -> int:
    """Return 0 if a cell can have both points, else whether the second has too much (1) or too little (-1)."""
    one_S, other_S = 1.0 / one.modulus_ohm, 1.0 / other.modulus_ohm
    most = jump * max(other.frequency_Hz / one.frequency_Hz, one.frequency_Hz / other.frequency_Hz)
    if other_S > most * one_S + noise_S:
        return 1
    return -1 if one_S > most * other_S + noise_S else 0


def overloaded(points: Sequence[Point]) -> int:
    """Return how many points were over the highest range."""
    return sum(point.overload is True for point in points)


def is_overloaded(points: Sequence[Point]) -> bool:
    """Whether so many points were over the highest range that the spectrum is none."""
    return bool(points) and overloaded(points) > OVERLOADED_SHARE * len(points)


def why_unusable(points: Sequence[Point], task: SweepImpedance, rig: Rig) -> tuple[str, ...]:
    """Return why these points are no spectrum, for people; empty if they are one."""
    found = []
    if is_open(points, task, rig):
        found.append("open cell: no more current than the empty holder passes, at every frequency. Look at the leads")
    lost_Hz = contact_lost_Hz(points, task, rig)
    if lost_Hz is not None:
        found.append(
            f"a contact was lost or came back at {lost_Hz:.3g} Hz: the current stepped there as no cell's can."
            " Look at the leads"
        )
    if points and all(point.modulus_ohm < rig.short_ohm for point in points):
        found.append(
            f"short circuit: less than {rig.short_ohm:g} ohm at every frequency. Look for a bridge beside the pellet"
        )
    if rig.bridged == "fail" and (what := bridged(points)):
        found.append(what)
    if is_overloaded(points):
        found.append(f"{overloaded(points)} of {len(points)} points were over the highest range allowed")
    return tuple(found)
