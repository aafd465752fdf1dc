"""The recycle delay that follows from a measured T1, or why it does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.plan.steps import RecycleRule, with_recycle_delay
from labctl.ports import Acquire


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The task to begin, what is to be said about it, and whether a person must approve it first."""

    task: Acquire
    notes: tuple[str, ...] = ()
    ask: str = ""


def resolve_recycle(task: Acquire, rule: RecycleRule, measured: Mapping[str, float], *, approved: bool) -> Resolved:
    """Return `task` with D1 = ``times_T1`` x T1 of the rule's site, at most `max_s`.

    Parameters
    ----------
    measured : mapping
        Numbers of the verdicts this step needs; ``T1_s/<site>`` are looked at [s], and ``T1_unresolved/<site>``.
    approved : bool
        A person has approved whatever comes out.

    A T1 of minutes would make one 2D last weeks, hence the cap; growth of the step beyond ``ask_beyond`` needs a
    person's approval (``ask``) or keeps the planned delay (``cap``). Without a T1 the planned delay is kept, and one
    that was not resolved keeps the delay from getting shorter than planned.
    """
    t1_s = {name.removeprefix("T1_s/"): value for name, value in measured.items() if name.startswith("T1_s/")}
    wanted = t1_s if rule.of == "slowest" else {site: value for site, value in t1_s.items() if site == rule.of}
    usable = {site: value for site, value in wanted.items() if value > 0.0}
    if not usable:
        what = f"no T1 of {rule.of} was measured; recycle delay stays at the planned {task.recycle_delay_s:g} s"
        if approved or rule.fallback == "cap":
            return Resolved(task=task, notes=(what,))
        return Resolved(task=task, ask=f"{what}; a person must approve it")
    site = max(usable, key=lambda name: usable[name])
    ideal_s = rule.times_T1 * usable[site]
    delay_s = min(ideal_s, rule.max_s)
    said = f"recycle delay {delay_s:.4g} s from T1 = {usable[site]:.3g} s of {site}"
    names = sorted(name.removeprefix("T1_unresolved/") for name in measured if name.startswith("T1_unresolved/"))
    unresolved = [name for name in names if rule.of in {"slowest", name}]
    if unresolved and delay_s < task.recycle_delay_s:
        delay_s = task.recycle_delay_s
        said = f"the planned recycle delay of {delay_s:.4g} s is kept: T1 of {', '.join(unresolved)} was not resolved"
    notes: tuple[str, ...] = (said,)
    if ideal_s > rule.max_s:
        notes += (f"capped: {rule.times_T1:g} x T1 would be {ideal_s:.4g} s, so {site} is not fully recovered",)
    resolved = with_recycle_delay(task, delay_s)
    if resolved.duration_s <= (1.0 + rule.ask_beyond) * task.duration_s or approved:
        return Resolved(task=resolved, notes=notes)
    growth = f"{said} would take {resolved.duration_s:.0f} s instead of the planned {task.duration_s:.0f} s"
    if rule.fallback == "ask":
        return Resolved(task=resolved, ask=f"{growth}: a person must approve it, or skip the step")
    kept = f"{growth}; the planned recycle delay of {task.recycle_delay_s:g} s is kept, so {site} is saturated"
    return Resolved(task=task, notes=(kept,))
