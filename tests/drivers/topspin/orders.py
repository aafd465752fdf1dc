"""Settings and orders that the tests of the TopSpin driver share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labctl.ports import Acquire, Experiment, Exsy, OnePulse, Order, Task

GOOD: dict[str, Any] = {
    "tshome": "tshome",
    "data_dir": "data",
    "job_dir": "job",
    "templates": {"one_pulse": 1, "nutation": 2, "saturation_recovery": 3, "exsy": 4},
    "pulse_programs": {"one_pulse": "zg", "nutation": "zg2d_nut", "saturation_recovery": "satrect1", "exsy": "noesyph"},
}

LIMITS = {
    "sensor_min_K": 253.15,
    "sensor_max_K": 403.15,
    "heater_max_percent": 90.0,
    "gas_min_L_per_h": 400.0,
    "ramp_max_K_per_s": 5.0 / 60.0,
    "spinning_tolerance_Hz": 100.0,
    "spinning_max_Hz": 15000.0,
    "pulse_max_s": 100e-6,
    "acquisition_max_s": 0.5,
}

EXSY = Exsy(mixing_time_s=0.2, rows=16, increment_s=0.8e-3)


def acquire(experiment: Experiment = EXSY, *, slot: int = 2030, **changes: Any) -> Acquire:
    """An acquisition small enough to write in a blink."""
    task = Acquire(
        experiment=experiment,
        expno_slot=slot,
        template="",
        nucleus="6Li",
        scans=8,
        dummy_scans=4,
        recycle_delay_s=5.0,
        points=512,
        spectral_width_Hz=10000.0,
        carrier_ppm=1.5,
        pulse_s=4.9e-6,
        receiver_gain=64.0,
        spinning_Hz=10000.0,
        spinning_tolerance_Hz=20.0,
        setpoint_K=298.15,
        sample_K=306.95,
        duration_s=800.0,
    )
    return replace(task, **changes)


ONE_PULSE = acquire(OnePulse(purpose="reference"), slot=2010, duration_s=60.0)


def order(task: Task, *, token: str = "0a1b2c3d-1", epoch: int = 1) -> Order:
    """An order as the engine would give it."""
    return Order(
        token=token,
        title=f"campaign nmr/vt_exsy/T02/tmix03 {token}",
        step_id="nmr/vt_exsy/T02/tmix03",
        attempt=int(token.rsplit("-", 1)[1]),
        epoch=epoch,
        task=task,
    )
