"""What faults do to the spectrometer in memory, by the names of the console's registry and some more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.ports import Acquire
from tests.unattended.seeded.sites import ROOM_K

if TYPE_CHECKING:
    from tests.unattended.seeded.spectrometer import Spectrometer


@dataclass(frozen=True, kw_only=True)
class ConsoleFault:
    """What happens at the console, when [lab's time], for how long (None: until a person comes), and how much."""

    kind: str
    at_s: float
    for_s: float | None = None
    by: float = 0.0


def _gas_loss(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.plant.gas_L_per_h = 0.0
    site.heat_is_lost(fault.kind)
    return True


def _gas_flood(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.plant.gas_L_per_h = 2500.0
    return True


def _spins(rate_Hz: float) -> Callable[[Spectrometer, ConsoleFault], bool]:
    def happens(site: Spectrometer, fault: ConsoleFault) -> bool:
        site.plant.spinning_Hz = rate_Hz
        return True

    return happens


def _overshoot(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.plant.runs_away = site.plant.heating
    return site.plant.heating


def _heater_trip(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.heat_is_lost(fault.kind)
    return False


def _chill(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.plant.sensor_K = 260.0
    return False


def _frozen(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.ailing.add("fault/sensor_frozen")
    return True


def _readings_stop(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.console.readings_silent = True
    return True


def _deaf(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.deaf(True)
    return True


def _share_gone(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.console.silent = True
    return True


def _typed(how: str) -> Callable[[Spectrometer, ConsoleFault], bool]:
    def happens(site: Spectrometer, fault: ConsoleFault) -> bool:
        site.ends_all(how, f"somebody typed {fault.kind}")
        return False

    return happens


def _power_cut(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.console.power_cut()
    site.heat_is_lost(fault.kind)
    site.plant.sensor_K = min(site.plant.sensor_K, ROOM_K + 20.0)
    site.plant.spinning_Hz = site.plant.gas_L_per_h = 0.0
    site.deaf(True)
    return True


def _dataset_taken(site: Spectrometer, fault: ConsoleFault) -> bool:
    """Somebody acquires on the EXPNO of the next step that has not been begun."""
    begun = {entry.order.step_id for entry in site.console.entries.values()}
    coming = [step.id for step in site.steps if isinstance(step.task, Acquire) and step.id not in begun]
    site.console.foreign.update(coming[:1])
    return False


def _begin_late(site: Spectrometer, fault: ConsoleFault) -> bool:
    site.console.late = True
    return False


HAPPENS: dict[str, Callable[[Spectrometer, ConsoleFault], bool]] = {
    "heater_trip": _heater_trip,
    "gas_loss": _gas_loss,
    "gas_flood": _gas_flood,
    "spin_loss": _spins(0.0),
    "spin_off_rate": _spins(10_400.0),
    "overspeed": _spins(12_500.0),
    "overshoot": _overshoot,
    "chill": _chill,
    "sensor_frozen": _frozen,
    "sensor_silent": _readings_stop,
    "halt": _typed("halted"),
    "stop": _typed("interrupted"),
    "kill": _typed("failed"),
    "executor_killed": _typed("failed"),
    "topspin_restart": _deaf,
    "dialog": _deaf,
    "share_gone": _share_gone,
    "power_cut": _power_cut,
    "dataset_taken": _dataset_taken,
    "begin_late": _begin_late,
}
"""Returns whether the fault lasts."""
