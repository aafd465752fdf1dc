"""From milligrams and mAh/g to amperes and ampere hours. Pure arithmetic.

A specific capacity means nothing without whose gram it is: 600 mAh per gram of Li2S and per gram of the LiI-Li2S
composite differ by a factor of 1.97, and the second is more than the composite holds. So a basis is always named, and a
target above what that basis can hold is refused.

Molar masses are IUPAC's of 2007 (before intervals), natural isotopes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.errors import InputError

FARADAY_C_PER_MOL = 96485.33212
_ATOMS_G_PER_MOL = {"Li": 6.941, "S": 32.065, "I": 126.90447, "Cl": 35.453, "Br": 79.904, "P": 30.973762}
MOLAR_MASS_G_PER_MOL: Mapping[str, float] = {
    "Li2S": 2 * _ATOMS_G_PER_MOL["Li"] + _ATOMS_G_PER_MOL["S"],
    "LiI": _ATOMS_G_PER_MOL["Li"] + _ATOMS_G_PER_MOL["I"],
    "LiBr": _ATOMS_G_PER_MOL["Li"] + _ATOMS_G_PER_MOL["Br"],
    "LiCl": _ATOMS_G_PER_MOL["Li"] + _ATOMS_G_PER_MOL["Cl"],
    "S": _ATOMS_G_PER_MOL["S"],
}
"""Of the substances a composite may be made of."""

ELECTRONS = {"Li2S": 2, "S": 2}
"""Electrons that one formula unit takes part with: Li2S <-> S + 2 Li+ + 2 e-."""

COMPOSITE, MIXTURE = "composite", "mixture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Electrode:
    """What one electrode is made of.

    Attributes
    ----------
    mixture_mg : float
        Whole mass pressed on.
    mixture_by_mass : mapping
        Parts by mass of what was mixed; the active composite is the part named ``composite``.
    composite_by_mole : mapping
        Parts by mole of what the composite was made from.
    diameter_mm : float
    """

    mixture_mg: float
    mixture_by_mass: Mapping[str, float]
    composite_by_mole: Mapping[str, float]
    diameter_mm: float

    @property
    def area_cm2(self) -> float:
        """Of the electrode's face."""
        return math.pi / 4.0 * (self.diameter_mm / 10.0) ** 2

    def mass_mg(self, basis: str) -> float:
        """Return the mass that a specific capacity is reckoned with.

        Parameters
        ----------
        basis : str
            ``mixture``, ``composite``, a substance of the composite, or ``S`` (the sulphur in its Li2S).

        Raises
        ------
        InputError
            Nothing of that name is in the electrode.
        """
        if basis == MIXTURE:
            return self.mixture_mg
        if COMPOSITE not in self.mixture_by_mass:
            raise InputError(
                "the mixture has no part named composite", expected="mixture.by_mass with a part named composite"
            )
        composite_mg = self.mixture_mg * self.mixture_by_mass[COMPOSITE] / sum(self.mixture_by_mass.values())
        if basis == COMPOSITE:
            return composite_mg
        masses = {name: moles * _molar_mass(name) for name, moles in self.composite_by_mole.items()}
        parts = {name: composite_mg * mass / sum(masses.values()) for name, mass in masses.items()}
        if basis in parts:
            return parts[basis]
        if basis == "S" and "Li2S" in parts:
            return parts["Li2S"] * MOLAR_MASS_G_PER_MOL["S"] / MOLAR_MASS_G_PER_MOL["Li2S"]
        known = [MIXTURE, COMPOSITE, *parts, *(["S"] if "Li2S" in parts else [])]
        raise InputError(f"{basis!r} is no mass basis of this electrode", expected=f"one of {', '.join(known)}")

    def theoretical_mAh(self) -> float:
        """Return what the electrode holds at most.

        Raises
        ------
        InputError
            Nothing in the composite takes part.
        """
        active = [name for name in self.composite_by_mole if name in ELECTRONS]
        if not active:
            raise InputError(
                f"none of {', '.join(self.composite_by_mole)} takes part in the reaction",
                expected=f"{' or '.join(ELECTRONS)} in composite.by_mole",
            )
        return math.fsum(self.mass_mg(name) / 1000.0 * specific_capacity_mAh_per_g(name) for name in active)

    def theoretical_mAh_per_g(self, basis: str) -> float:
        """Return the theoretical capacity for each gram of `basis`."""
        return 1000.0 * self.theoretical_mAh() / self.mass_mg(basis)

    def charge_Ah(self, target_mAh_per_g: float, basis: str) -> float:
        """Return the charge [Ah] of a specific capacity.

        Raises
        ------
        InputError
            More than the theoretical capacity of that basis, or no such basis.
        """
        most = self.theoretical_mAh_per_g(basis)
        if not 0.0 < target_mAh_per_g <= most:
            raise InputError(
                f"{target_mAh_per_g:g} mAh/g is more than one gram of {basis} holds",
                expected=f"more than 0 and at most {most:.1f} mAh/g of {basis}",
                next_step="Is mass_basis the gram the number was meant for?",
            )
        return target_mAh_per_g * self.mass_mg(basis) * 1e-6

    def current_A(self, density_mA_per_cm2: float) -> float:
        """Return the current [A] of a current density on the electrode's face."""
        return density_mA_per_cm2 * self.area_cm2 * 1e-3


def specific_capacity_mAh_per_g(substance: str) -> float:
    """Return the theoretical specific capacity n F / M: 1166.6 mAh/g for Li2S, 1671.7 for S.

    Raises
    ------
    InputError
        A substance that takes no part.
    """
    if substance not in ELECTRONS:
        raise InputError(f"{substance!r} takes no part in the reaction", expected=" or ".join(ELECTRONS))
    return ELECTRONS[substance] * FARADAY_C_PER_MOL / 3.6 / _molar_mass(substance)


def charging_s(charges_Ah: tuple[float, ...], current_A: float) -> float:
    """Return the time of charging alone [s]."""
    return 3600.0 * math.fsum(charges_Ah) / current_A


def _molar_mass(name: str) -> float:
    if name not in MOLAR_MASS_G_PER_MOL:
        raise InputError(f"{name!r} is not a substance labctl knows", expected=", ".join(MOLAR_MASS_G_PER_MOL))
    return MOLAR_MASS_G_PER_MOL[name]
