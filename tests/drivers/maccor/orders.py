"""Orders and clocks for tests of the Maccor driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labctl.ports import CycleCell, Order

TASK = CycleCell(
    cell="mLi2S_01",
    current_A=0.10367e-3,
    discharge_current_A=0.10367e-3,
    charges_Ah=(0.4871e-3, 0.7306e-3, 0.9741e-3, 1.2177e-3, 1.4612e-3),
    then_cycles=50,
    then_charge_Ah=1.4612e-3,
    discharge_to_V=0.8,
    charge_above_V=2.1,
    charge_below_V=0.3,
    charge_limit_s=40 * 3600.0,
    discharge_limit_s=40 * 3600.0,
    unreturned_max_Ah=0.5e-3,
    efficiency_min=0.8,
    rest_s=300.0,
    first_rest_s=3600.0,
    record_s=60.0,
    record_V=0.005,
    mass_mg=2.4353,
    mass_basis="Li2S",
    area_cm2=0.7854,
    setpoint_K=297.15,
    sample_K=297.15,
    duration_s=1540 * 3600.0,
)
TOKEN = "0a1b2c3d-1"
TEST = f"mLi2S_01-{TOKEN}"


def order(token: str = TOKEN, **changes: Any) -> Order:
    """Return one attempt at `TASK`, changed."""
    return Order(
        token=token,
        title=f"campaign maccor/fixed_capacity_cycling/cell {token}",
        step_id="maccor/fixed_capacity_cycling/cell",
        attempt=int(token.rsplit("-", 1)[1]),
        epoch=1,
        task=replace(TASK, **changes),
    )
