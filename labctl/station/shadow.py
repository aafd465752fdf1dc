"""A campaign gone through with heat, pulses and current off: every step is prepared and checked, none is begun.

No engine takes part: there is nothing to watch, nothing to adopt and nothing to make safe. Each driver declares how far
it can go without energy (`labctl.ports.Shadow`); a driver that declares nothing is not touched at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labctl.errors import InputError, InstrumentError, SafetyRefusal
from labctl.plan.steps import Plan, Step
from labctl.ports import Instrument, Order, Shadow


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowStep:
    """What became of one step: what would have been done, or why it could not be."""

    step_id: str
    station: str
    would: tuple[str, ...] = ()
    fault: str = ""


def shadow(plan: Plan, instruments: Mapping[str, Instrument]) -> Iterator[ShadowStep]:
    """Yield every step of a plan in order, prepared and checked by its driver.

    A step that fails does not keep the later ones from being looked at.
    """
    for step in plan.steps:
        instrument = instruments[step.station]
        if not isinstance(instrument, Shadow):
            yield ShadowStep(
                step_id=step.id, station=step.station, fault="its driver cannot go without energy; not tried"
            )
            continue
        try:
            would = instrument.shadow(_order(plan, step))
        except (InstrumentError, InputError, SafetyRefusal) as problem:
            yield ShadowStep(step_id=step.id, station=step.station, fault=str(problem))
            continue
        yield ShadowStep(step_id=step.id, station=step.station, would=would)


def _order(plan: Plan, step: Step) -> Order:
    """The order as the engine would give it at the first attempt, of an epoch that no agent obeys."""
    token = f"{step.key[:8]}-1"
    title = f"{plan.campaign} {step.id} {token}".encode("ascii", "replace").decode("ascii")
    return Order(token=token, title=title, step_id=step.id, attempt=1, epoch=0, task=step.task)
