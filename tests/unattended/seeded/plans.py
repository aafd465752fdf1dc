"""What the stations of a seeded campaign are to do: short plans of real tasks, drawn."""

from __future__ import annotations

import random
from dataclasses import replace

from labctl.plan.steps import Step
from labctl.ports import (
    AwaitStable,
    CheckSpinning,
    CoolDown,
    Effect,
    Exsy,
    OnePulse,
    SaturationRecovery,
    SetTemperature,
    Task,
)
from tests.drivers.autolab.bench import sweep_task
from tests.drivers.maccor.orders import TASK as CELL
from tests.run.campaigns import acquire, step
from tests.unattended.seeded.plant import RATE_HZ
from tests.unattended.seeded.sites import ROOM_K


def spectrometer_steps(chance: random.Random) -> list[Step]:
    """Look at the rotor, then at each temperature ramp, settle, and some of: a 1D, T1, one or two 2Ds; cool."""
    base = "nmr/vt_exsy"
    rotor = CheckSpinning(rate_Hz=RATE_HZ, tolerance_Hz=20.0, give_up_s=60.0)
    steps = [step(f"{base}/spinning", rotor, Effect.ABSOLUTE_SET, role="spinning")]
    slot = 100
    for number in range(chance.randint(1, 3)):
        here, setpoint_K = f"{base}/T{number:02d}", 313.15 + 10.0 * number
        steps += thermal_steps(here, setpoint_K, chance)
        drawn = [kind for kind in ("line", "t1", "tmix00", "tmix01") if chance.random() < 0.6] or ["tmix00"]
        for kind in drawn:
            slot += 10
            lasts_s = 60.0 if kind == "line" else chance.choice((60.0, 900.0, 7200.0))
            task: Task
            if kind == "line":
                task = acquire(OnePulse(purpose="reference"), slot=slot, duration_s=lasts_s, setpoint_K=setpoint_K)
            elif kind == "t1":
                delays = SaturationRecovery(delays_s=(0.1, 10.0))
                task = acquire(delays, slot=slot, duration_s=lasts_s, setpoint_K=setpoint_K)
            else:
                exsy = Exsy(mixing_time_s=0.1, rows=16, increment_s=8e-4)
                task = acquire(exsy, slot=slot, duration_s=lasts_s, setpoint_K=setpoint_K)
            effect = Effect.EXPENSIVE if kind.startswith("tmix") else Effect.REPEATABLE
            steps.append(step(f"{here}/{kind}", task, effect, role=kind))
    cool = CoolDown(setpoint_K=ROOM_K, ramp_K_per_s=5 / 60, give_up_s=7200.0)
    return [*steps, step(f"{base}/cool", cool, Effect.ABSOLUTE_SET, role="cool")]


def thermal_steps(here: str, setpoint_K: float, chance: random.Random) -> list[Step]:
    """Ramp and settle."""
    at = {"setpoint_K": setpoint_K, "sample_K": setpoint_K, "give_up_s": 5400.0}
    ramp = SetTemperature(ramp_K_per_s=8 / 60, **at)
    settle = AwaitStable(within_K=1.0, hold_s=chance.choice((60.0, 300.0, 900.0)), **at)
    return [
        step(f"{here}/ramp", ramp, Effect.ABSOLUTE_SET, role="ramp"),
        step(f"{here}/settle", settle, Effect.ABSOLUTE_SET, role="settle"),
    ]


def ladder_steps(name: str, chance: random.Random) -> list[Step]:
    """At each temperature ramp, settle, and where there is a potentiostat a short sweep; cool."""
    base = f"{name}/eis_ladder"
    steps: list[Step] = []
    for number in range(chance.randint(1, 2)):
        here, setpoint_K = f"{base}/T{number:02d}", 303.15 + 6.0 * number
        steps += thermal_steps(here, setpoint_K, chance)
        if name == "autolab":
            task = sweep_task(
                name=f"T{number:02d}",
                frequencies_Hz=(1e4, 1e3, 1e2),
                setpoint_K=setpoint_K,
                sample_K=setpoint_K,
                duration_s=15.0,
            )
            steps.append(step(f"{here}/sweep", task, Effect.REPEATABLE, role="sweep"))
    cool = CoolDown(setpoint_K=ROOM_K, ramp_K_per_s=8 / 60, give_up_s=7200.0)
    return [*steps, step(f"{base}/cool", cool, Effect.ABSOLUTE_SET, role="cool")]


def cycling_steps(name: str, chance: random.Random) -> list[Step]:
    """One cell, one or two cycles."""
    task = replace(
        CELL,
        charges_Ah=(0.05e-3,) * chance.randint(1, 2),
        then_cycles=0,
        first_rest_s=300.0,
        rest_s=60.0,
        duration_s=8000.0,
        charge_limit_s=4 * 3600.0,
        discharge_limit_s=4 * 3600.0,
        record_s=600.0,
    )
    return [step(f"{name}/cycling/cell", task, Effect.IRREVERSIBLE, role="cycling")]
