"""What is wrong or doubtful in a `fixed_capacity_cycling` procedure: its own keys, and the station it is to run on."""

from __future__ import annotations

from labctl.errors import InputError
from labctl.plan.cycling import COMPOSITE, ELECTRONS, MIXTURE, MOLAR_MASS_G_PER_MOL
from labctl.plan.cycling_steps import currents_A, cycle_cell, electrode_of, theoretical_mAh_per_g
from labctl.plan.findings import KeyPath, Notebook, suggestion
from labctl.protocol.fixed_capacity_cycling import FixedCapacityCycling
from labctl.protocol.lab import Station
from labctl.units import QuantityError, duration_text, parse

CYCLERS = frozenset({"maccor"})
OTHER_DRIVERS = frozenset({"topspin", "autolab", "lakeshore", "eurotherm"})

MARGIN = "100 mV"
"""By which a cycler's own safety limits lie outside the guards, where the lab file does not say."""
SAFETY_MARGINS = 2.0
"""The tester's limits are twice the margin outside the guards, the procedure's safety ends once."""
PLAUSIBLE_LOADING_MG_PER_CM2 = (0.1, 200.0)
RECORDS_PER_HALF = 50


def check_cycling(note: Notebook, p: FixedCapacityCycling) -> None:
    """Note what shows without a lab."""
    if _check_cell(note.below("cell"), p):
        _check_targets(note, p)
    _check_guards(note, p)
    loading = p.cell.mixture.mass_mg / electrode_of(p).area_cm2
    low, high = PLAUSIBLE_LOADING_MG_PER_CM2
    if not low <= loading <= high:
        note.warning(
            ("cell", "mixture", "mass"),
            f"makes a loading of {loading:.3g} mg/cm^2; one of mass and diameter is wrong",
            expected=f"{low:g} to {high:g} mg/cm^2",
        )


def _check_cell(note: Notebook, p: FixedCapacityCycling) -> bool:
    """Return whether capacities can be reckoned; what keeps them from it has been noted."""
    cell, sound = p.cell, True
    by_mass, by_mole = cell.mixture.by_mass, cell.composite.by_mole
    if COMPOSITE not in by_mass:
        note.error(
            ("mixture", "by_mass"),
            f"has no part named {COMPOSITE}, and nothing says how much of it is active",
            value=", ".join(by_mass),
            expected=f"{{{COMPOSITE}: 4, LPSC: 4, carbon: 2}}",
        )
        sound = False
    for name in by_mole:
        if name not in MOLAR_MASS_G_PER_MOL:
            note.error(
                ("composite", "by_mole", name),
                "is not a substance labctl knows",
                value=repr(name),
                expected=suggestion(name, MOLAR_MASS_G_PER_MOL),
            )
            sound = False
    if not sound:
        return False
    known = [MIXTURE, COMPOSITE, *by_mole, *(["S"] if "Li2S" in by_mole else [])]
    if cell.mass_basis not in known:
        note.error(
            ("mass_basis",),
            "is nothing that this electrode has a mass of",
            value=repr(cell.mass_basis),
            expected=suggestion(cell.mass_basis, dict.fromkeys(known)),
        )
        return False
    return _check_theory(note, p)


def _check_theory(note: Notebook, p: FixedCapacityCycling) -> bool:
    stated = p.cell.theoretical_capacity_mAh_per_g
    try:
        formula = electrode_of(p).theoretical_mAh_per_g(p.cell.mass_basis)
    except InputError as problem:
        if stated is None:
            note.error(
                ("composite", "by_mole"), problem.what, expected=f"{problem.expected}, or `theoretical_capacity`"
            )
            return False
        return True
    if stated is not None and stated > 1.01 * formula:
        note.error(
            ("theoretical_capacity",),
            f"is more than {' and '.join(one for one in ELECTRONS if one in p.cell.composite.by_mole)} can hold",
            value=f"{stated:g} mAh/g",
            expected=f"at most {formula:.1f} mAh/g of {p.cell.mass_basis}",
        )
        return False
    return True


def _check_targets(note: Notebook, p: FixedCapacityCycling) -> None:
    theory, basis = theoretical_mAh_per_g(p), p.cell.mass_basis
    places: list[tuple[KeyPath, float]] = [(("charge_to", n), one) for n, one in enumerate(p.charge_to_mAh_per_g)]
    if p.then is not None:
        places.append((("then", "charge_to"), p.then.charge_to_mAh_per_g))
    beyond = False
    for path, target in places:
        if target > theory:
            beyond = True
            note.error(
                path,
                f"is more than one gram of {basis} holds; is `mass_basis` the gram the number was meant for?",
                value=f"{target:g} mAh/g",
                expected=f"at most {theory:.1f} mAh/g of {basis}",
            )
    if beyond:
        return
    task = cycle_cell(p, "cell")
    largest_Ah = max(*task.charges_Ah, task.then_charge_Ah, 0.0)
    for key, seconds, current_A in (
        ("charge_time", p.guards.charge_time_s, task.current_A),
        ("discharge_time", p.guards.discharge_time_s, task.discharge_current_A),
    ):
        least_s = 3600.0 * largest_Ah / current_A
        if seconds is not None and seconds < least_s:
            note.error(
                ("guards", key),
                "is over before the largest charge could be complete, or come back",
                value=duration_text(seconds),
                expected=f"more than {duration_text(least_s)}",
            )
    if task.unreturned_max_Ah > 0.0 and p.guards.unreturned_mAh_per_g is None:
        total_Ah = sum(task.charges_Ah) + task.then_cycles * task.then_charge_Ah
        least = 1.0 - task.unreturned_max_Ah / total_Ah
        if least > task.efficiency_min:
            note.advice(
                ("guards", "unreturned"),
                f"pauses the cell before its last cycle if the mean coulombic efficiency is below {100 * least:.2f} %",
                value=f"{1e6 * task.unreturned_max_Ah / task.mass_mg:.4g} mAh/g",
                expected="a larger one, if so much is known to be lost elsewhere than in the electrode",
            )
    shortest_s = 3600.0 * min(one for one in (*task.charges_Ah, task.then_charge_Ah) if one) / task.current_A
    if p.records.every_s * RECORDS_PER_HALF > shortest_s:
        note.warning(
            ("records", "every"),
            f"leaves fewer than {RECORDS_PER_HALF} rows of the shortest charge, and charge and energy rest on them",
            value=duration_text(p.records.every_s),
        )


def _check_guards(note: Notebook, p: FixedCapacityCycling) -> None:
    guards = p.guards
    if guards.charge_above_V <= p.discharge_to_V:
        note.error(
            ("guards", "charge_above"),
            "is not above the end of a discharge",
            value=f"{guards.charge_above_V:g} V",
            expected=f"more than {p.discharge_to_V:g} V",
        )
    if guards.charge_below_V >= p.discharge_to_V:
        note.error(
            ("guards", "charge_below"),
            "would end a charge as it begins: the cell was just discharged to no less",
            value=f"{guards.charge_below_V:g} V",
            expected=f"less than `discharge_to`, {p.discharge_to_V:g} V",
        )
    equilibrium_V = p.cell.equilibrium_V
    if equilibrium_V is not None and guards.charge_above_V <= equilibrium_V:
        note.error(
            ("guards", "charge_above"),
            "is not above the equilibrium potential: no charge would ever be complete",
            value=f"{guards.charge_above_V:g} V",
            expected=f"more than {equilibrium_V:g} V",
        )
    if equilibrium_V is not None and p.discharge_to_V >= equilibrium_V:
        note.error(
            ("discharge_to",),
            "is not below the equilibrium potential: nothing would be discharged",
            value=f"{p.discharge_to_V:g} V",
            expected=f"less than {equilibrium_V:g} V",
        )


def check_cycler(note: Notebook, p: FixedCapacityCycling, station: Station) -> None:
    """Note what shows against the station: driver, voltages and currents it allows."""
    if station.driver in OTHER_DRIVERS:
        note.error(
            ("station",),
            f"is driven by {station.driver!r}, which cycles no cells",
            value=repr(p.station),
            expected="a station of driver 'maccor'",
        )
        return
    limits = station.limits
    try:
        margin_V = SAFETY_MARGINS * parse(station.settings.get("voltage_margin", MARGIN), "V")
    except QuantityError:
        margin_V = 0.0  # the driver says what is wrong with it
    if limits.voltage_max_V is not None and p.guards.charge_above_V + margin_V > limits.voltage_max_V + 1e-9:
        note.error(
            ("guards", "charge_above"),
            f"with the safety margin of {1000 * margin_V:g} mV is above the hardware limit",
            value=f"{p.guards.charge_above_V:g} V",
            expected=f"at most {limits.voltage_max_V - margin_V:g} V",
        )
    lowest_V, key = min((p.discharge_to_V, ("discharge_to",)), (p.guards.charge_below_V, ("guards", "charge_below")))
    if limits.voltage_min_V is not None and lowest_V - margin_V < limits.voltage_min_V - 1e-9:
        note.error(
            key,
            f"with the safety margin of {1000 * margin_V:g} mV is below the hardware limit",
            value=f"{lowest_V:g} V",
            expected=f"at least {limits.voltage_min_V + margin_V:g} V",
        )
    charge_A, discharge_A = currents_A(p)
    if limits.current_max_A is not None and max(charge_A, discharge_A) > limits.current_max_A * (1 + 1e-9):
        worse = discharge_A > charge_A
        note.error(
            ("discharge_current_density" if worse else "current_density",),
            f"makes {1000 * max(charge_A, discharge_A):.4g} mA on {electrode_of(p).area_cm2:.4g} cm^2, above the"
            " hardware limit",
            value=f"{p.discharge_current_density_mA_per_cm2 if worse else p.current_density_mA_per_cm2:g} mA/cm^2",
            expected=f"at most {1000 * limits.current_max_A:g} mA",
        )
