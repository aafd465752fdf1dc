"""Small plans for tests of the engine."""

from __future__ import annotations

from labctl.plan.steps import Plan, RecycleRule, Step, step_key
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
    Effect,
    Experiment,
    Exsy,
    OnePulse,
    SaturationRecovery,
    SetTemperature,
    Task,
)

CAMPAIGN = "small"


def acquire(
    experiment: Experiment, *, slot: int, duration_s: float, setpoint_K: float = 333.0, scans: int = 8
) -> Acquire:
    """An acquisition with everything that does not matter here filled in."""
    return Acquire(
        experiment=experiment,
        expno_slot=slot,
        template="any",
        nucleus="6Li",
        scans=scans,
        dummy_scans=0,
        recycle_delay_s=50.0,
        points=1024,
        spectral_width_Hz=10_000.0,
        carrier_ppm=0.0,
        pulse_s=5e-6,
        receiver_gain=None,
        spinning_Hz=10_000.0,
        spinning_tolerance_Hz=20.0,
        setpoint_K=setpoint_K,
        sample_K=setpoint_K + 8.0,
        duration_s=duration_s,
    )


def step(
    step_id: str,
    task: Task,
    effect: Effect,
    *,
    role: str = "exsy",
    needs: tuple[str, ...] = (),
    recycle: RecycleRule | None = None,
    series: str = "",
    settled: bool = False,
    estimate_s: float = 60.0,
) -> Step:
    """A step of `CAMPAIGN`."""
    return Step(
        id=step_id,
        station=step_id.split("/", maxsplit=1)[0],
        procedure=step_id.split("/")[1],
        role=role,
        task=task,
        effect=effect,
        key=step_key(campaign=CAMPAIGN, step_id=step_id, task=task, recycle=recycle),
        estimate_s=estimate_s,
        needs=needs,
        recycle=recycle,
        series=series,
        skip_when="settled" if settled else "",
    )


RECYCLE = RecycleRule(times_T1=3.0, of="slowest", max_s=60.0, expected_T1_s=16.7)


def small_plan(*, temperatures_K: tuple[float, ...] = (313.0, 333.0), station: str = "nmr", tmix: int = 2) -> Plan:
    """Spinning check, then for each temperature ramp, settle, three line checks, T1 and 2Ds; then cool."""
    steps: list[Step] = []
    base = f"{station}/vt_exsy"
    rotor = CheckSpinning(rate_Hz=10_000.0, tolerance_Hz=20.0, give_up_s=60.0)
    steps.append(step(f"{base}/spinning", rotor, Effect.ABSOLUTE_SET, role="spinning"))
    slot = 100
    for number, setpoint_K in enumerate(temperatures_K):
        here = f"{base}/T{number:02d}"
        ramp = SetTemperature(setpoint_K=setpoint_K, sample_K=setpoint_K, ramp_K_per_s=0.03, give_up_s=3600.0)
        settle = AwaitStable(setpoint_K=setpoint_K, sample_K=setpoint_K, within_K=0.5, hold_s=1800.0, give_up_s=5400.0)
        steps.append(step(f"{here}/ramp", ramp, Effect.ABSOLUTE_SET, role="ramp"))
        steps.append(step(f"{here}/settle", settle, Effect.ABSOLUTE_SET, role="settle", estimate_s=1800.0))
        for check in range(3):
            slot += 10
            task = acquire(OnePulse(purpose="line"), slot=slot, duration_s=100.0, setpoint_K=setpoint_K)
            steps.append(
                step(
                    f"{here}/line{check}",
                    task,
                    Effect.REPEATABLE,
                    role="line",
                    series=f"{here}/line",
                    settled=check > 0,
                    estimate_s=100.0,
                )
            )
        slot += 10
        t1 = acquire(SaturationRecovery(delays_s=(0.05, 10.0)), slot=slot, duration_s=2000.0, setpoint_K=setpoint_K)
        steps.append(step(f"{here}/t1", t1, Effect.REPEATABLE, role="t1", estimate_s=2000.0))
        for mixing in range(tmix):
            slot += 10
            exsy = Exsy(mixing_time_s=0.01 * 10**mixing, rows=32, increment_s=8e-4)
            task = acquire(exsy, slot=slot, duration_s=32 * 8 * 50.0, setpoint_K=setpoint_K)
            steps.append(
                step(
                    f"{here}/tmix{mixing:02d}",
                    task,
                    Effect.EXPENSIVE,
                    needs=(f"{here}/t1",),
                    recycle=RECYCLE,
                    estimate_s=task.duration_s,
                )
            )
    cool = CoolDown(setpoint_K=298.15, ramp_K_per_s=0.03, give_up_s=7200.0)
    steps.append(step(f"{base}/cool", cool, Effect.ABSOLUTE_SET, role="cool"))
    return Plan(campaign=CAMPAIGN, steps=tuple(steps))
