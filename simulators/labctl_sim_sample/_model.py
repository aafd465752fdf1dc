"""What a sample file says, in SI: the truth that the simulators draw from and that nothing else reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

BOLTZMANN_eV_per_K = 8.617333262e-5
"""CODATA 2018."""

CURIE_K = 293.15
"""Temperature at which the whole equilibrium magnetisation gives an FID of amplitude 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """A rate, diffusivity or flux that grows with temperature as exp(-Ea/kT).

    `value` is what it amounts to at `reference_K`, in the unit the owner states.
    """

    value: float
    Ea_eV: float
    reference_K: float

    def at(self, T_K: float) -> float:
        """Return the value at `T_K`."""
        return self.value * math.exp(-self.Ea_eV / BOLTZMANN_eV_per_K * (1.0 / T_K - 1.0 / self.reference_K))

    def inverse_at(self, T_K: float) -> float:
        """Return the value at `T_K` of something that shrinks as the motion quickens: a T1, a line width."""
        return self.value * math.exp(self.Ea_eV / BOLTZMANN_eV_per_K * (1.0 / T_K - 1.0 / self.reference_K))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One line of the spectrum.

    `fraction` is the share of its phase's Li that resonates here. `width_Hz` is the full width at half
    height; the fraction `inhomogeneous` of it comes from spins of unlike, lasting offsets (isochromats).
    """

    name: str
    phase: str
    fraction: float
    shift_ppm: float
    shift_slope_ppm_per_K: float
    width_Hz: Activated
    inhomogeneous: float
    shape: Literal["lorentz", "gauss", "voigt"]
    reference_K: float

    def shift_at_ppm(self, T_K: float) -> float:
        """Return the chemical shift at `T_K`."""
        return self.shift_ppm + self.shift_slope_ppm_per_K * (T_K - self.reference_K)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One concentric shell (or slab), counted from the centre.

    Attributes
    ----------
    outer : float
        Outer radius in units of that of the innermost layer.
    density_per_nm3 : float
        Li number density; only ratios matter.
    kD_per_s : Activated
        D / R1**2, R1 being the radius of the innermost layer.
    flux_per_s : Activated or None
        Equilibrium exchange flux j0 through the outer face, as j0 / (c1 R1) with the density c1 of the
        innermost layer; ``None``: perfect contact.
    """

    phase: str
    outer: float
    density_per_nm3: float
    kD_per_s: Activated
    flux_per_s: Activated | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered:
    """Diffusion through concentric layers, perfectly reflected at the outermost face.

    `spin_diffusion_per_s` is added to every kD and does not depend on temperature.
    """

    geometry: Literal["sphere", "slab"]
    layers: tuple[Layer, ...]
    spin_diffusion_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """Hops between two phases: `rate_per_s` from `source` to `target`; the way back by detailed balance."""

    source: str
    target: str
    rate_per_s: Activated


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrete:
    """First-order exchange between phases that are each well stirred.

    `spin_diffusion_per_s` adds k_ij = rate * p_j between every two phases, at any temperature.
    """

    populations: dict[str, float]
    jumps: tuple[Jump, ...]
    spin_diffusion_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Two phases that exchange as cubes of edge d do: `kD_per_s` is D / d**2."""

    phases: tuple[str, str]
    kD_per_s: Activated


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairwise:
    """Each pair of phases on its own, as the paper's analysis supposes: a periodic array of cubes per pair.

    `filling` is edge / period of the array along one axis. Not a Markov process; it exists so that the
    published way of fitting can be tested on a truth that obeys it.
    """

    populations: dict[str, float]
    contacts: tuple[Contact, ...]
    filling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What belongs to the probe: the true 90 degree pulse, RF spread over the rotor, what the comb leaves."""

    p90_s: float
    p90_slope_per_K: float
    rf_spread: float
    comb_leaves: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Slow changes counted from the start of an acquisition.

    The field creeps at `field_Hz_per_h` and calms down with time constant `decay_s` (``None``: never);
    the receiver's gain creeps by `gain_per_day`.
    """

    field_Hz_per_h: float
    decay_s: float | None
    gain_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NmrTruth:
    """All that decides what the coil sees. `populations`, `T1_s` and `within_phase_per_s` go by phase."""

    nucleus: str
    reference_K: float
    phases: tuple[str, ...]
    sites: tuple[Site, ...]
    T1_s: dict[str, Activated]
    within_phase_per_s: dict[str, Activated]
    exchange: Layered | Discrete | Pairwise
    probe: Probe
    drift: Drift
    sideband: float
    noise_per_scan: float
