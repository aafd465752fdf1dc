"""The step of one `fixed_capacity_cycling` procedure: the whole test, which the cycler carries out by itself."""

from __future__ import annotations

import re

from labctl.plan.cycling import Electrode, charging_s
from labctl.plan.steps import Step, step_key
from labctl.ports import CycleCell, Effect
from labctl.protocol.fixed_capacity_cycling import FixedCapacityCycling

CHARGE_MARGIN, CHARGE_MARGIN_S = 1.1, 600.0
"""Longest charge where nobody says: at a constant current it takes as long as reckoned, or something is wrong."""
DISCHARGE_MARGIN = 1.5
_BYTES_PER_RECORD = 160
_RECORDS_PER_HALF = 120
"""Of changes of voltage and ends of steps, beside those that come with time."""


def electrode_of(wanted: FixedCapacityCycling) -> Electrode:
    """Return the electrode of a procedure's cell."""
    cell = wanted.cell
    return Electrode(
        mixture_mg=cell.mixture.mass_mg,
        mixture_by_mass=cell.mixture.by_mass,
        composite_by_mole=cell.composite.by_mole,
        diameter_mm=cell.electrode_diameter_mm,
    )


def theoretical_mAh_per_g(wanted: FixedCapacityCycling) -> float:
    """Return what one gram of the mass basis holds: as stated, else by formula.

    Raises
    ------
    InputError
        No such basis, an unknown substance, or nothing that takes part.
    """
    stated = wanted.cell.theoretical_capacity_mAh_per_g
    return electrode_of(wanted).theoretical_mAh_per_g(wanted.cell.mass_basis) if stated is None else stated


def currents_A(wanted: FixedCapacityCycling) -> tuple[float, float]:
    """Return the currents of charge and discharge [A]."""
    electrode = electrode_of(wanted)
    charge = wanted.current_density_mA_per_cm2
    discharge = wanted.discharge_current_density_mA_per_cm2
    return electrode.current_A(charge), electrode.current_A(charge if discharge is None else discharge)


def cycle_cell(wanted: FixedCapacityCycling, sample: str) -> CycleCell:
    """Return what is asked of the cycler, in amperes and ampere hours.

    Raises
    ------
    InputError
        The mass basis is none of this cell.
    """
    cell, guards = wanted.cell, wanted.guards
    mass_se_mg = cell.mixture.mass_uncertainty_mg
    electrode = electrode_of(wanted)
    mass_mg = electrode.mass_mg(cell.mass_basis)
    theory = theoretical_mAh_per_g(wanted)
    charge_A, discharge_A = currents_A(wanted)

    def amount_Ah(specific: float) -> float:
        return specific * mass_mg * 1e-6

    targets = wanted.targets_mAh_per_g
    charges_Ah = tuple(amount_Ah(target) for target in targets)
    largest_Ah = max(charges_Ah)
    unreturned = guards.unreturned_mAh_per_g
    rest_s, first_rest_s = wanted.rests.between_s, wanted.rests.first_s
    flowing_s = charging_s(charges_Ah, charge_A) + charging_s(charges_Ah, discharge_A)
    series = len(wanted.charge_to_mAh_per_g)
    return CycleCell(
        cell=short_name(sample),
        current_A=charge_A,
        discharge_current_A=discharge_A,
        charges_Ah=charges_Ah[:series],
        then_cycles=len(charges_Ah) - series,
        then_charge_Ah=charges_Ah[-1] if wanted.then is not None else 0.0,
        discharge_to_V=wanted.discharge_to_V,
        charge_above_V=guards.charge_above_V,
        charge_below_V=guards.charge_below_V,
        charge_limit_s=guards.charge_time_s or CHARGE_MARGIN * 3600.0 * largest_Ah / charge_A + CHARGE_MARGIN_S,
        discharge_limit_s=guards.discharge_time_s or DISCHARGE_MARGIN * 3600.0 * largest_Ah / discharge_A,
        unreturned_max_Ah=amount_Ah(theory - max(targets) if unreturned is None else unreturned),
        efficiency_min=guards.efficiency_percent / 100.0,
        rest_s=rest_s,
        first_rest_s=first_rest_s,
        record_s=wanted.records.every_s,
        record_V=wanted.records.change_V,
        mass_mg=mass_mg,
        mass_basis=cell.mass_basis,
        area_cm2=electrode.area_cm2,
        setpoint_K=wanted.temperature_K,
        sample_K=wanted.temperature_K,
        duration_s=first_rest_s + flowing_s + 2 * len(charges_Ah) * rest_s,
        sample=sample,
        mass_se_mg=None if mass_se_mg is None else mass_se_mg * mass_mg / electrode.mixture_mg,
        theoretical_mAh_per_g=theory,
        reference=cell.reference,
        reference_offset_V=cell.reference_offset_V,
        equilibrium_V=cell.equilibrium_V,
    )


def short_name(sample: str) -> str:
    """Return a sample's name as test names and files take it: letters, digits, ``_``."""
    return re.sub(r"[^A-Za-z0-9]+", "_", sample).strip("_")[:24] or "cell"


def cycling_step(*, campaign: str, name: str, wanted: FixedCapacityCycling, sample: str) -> Step:
    """Return the one step of a procedure; raises as `cycle_cell`."""
    task = cycle_cell(wanted, sample)
    step_id = f"{wanted.station}/{name}/cell"
    records = task.duration_s / task.record_s + 2 * task.cycles * _RECORDS_PER_HALF
    return Step(
        id=step_id,
        station=wanted.station,
        procedure=name,
        role="cycle",
        task=task,
        effect=Effect.IRREVERSIBLE,
        key=step_key(campaign=campaign, step_id=step_id, task=task, recycle=None),
        estimate_s=task.duration_s,
        disk_bytes=int(records) * _BYTES_PER_RECORD,
    )
