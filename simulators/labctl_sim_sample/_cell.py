"""A cell of Li2S against In-Li as a cycler sees it: voltage at its terminals, charge, and how it ages. Pure.

::

    V = U(q) + (2RT/F) asinh(j / 2 j0) + R j + w,       tau dw/dt = R_w j - w
    U(q) = E - drop exp(-q / k) + rise exp(-(Q - q) / k)

q is the charge that can be had back and Q its limit, `utilisation` of the theoretical capacity; k, `knee` of Q, is the
width of the two ends of the plateau. Of each charge the share `coulombic_loss` is lost. R, the series resistance, grows
with every turn from discharging to charging. At a constant current all of it has a closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

TWO_RT_F_V = 2.0 * 8.314462618 * 297.15 / 96485.33212
"""At 24 degC, where the cells stand."""
_STEEPEST = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTruth:
    """What the `cell:` section of a sample file says; voltages against the counter electrode."""

    diameter_cm: float
    active_g: float
    specific_capacity_Ah_per_g: float
    utilisation: float
    equilibrium_V: float
    open_circuit_V: float
    exchange_current_A_per_cm2: float
    resistance_ohm_cm2: float
    resistance_growth: float
    polarisation_ohm_cm2: float
    polarisation_s: float
    coulombic_loss: float
    knee: float
    drop_V: float
    rise_V: float
    noise_V: float
    shorted_ohm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellState:
    """A cell at one instant.

    Attributes
    ----------
    charge_Ah : float
        What can be discharged.
    slow_V : float
        w, the polarisation that relaxes.
    turns : int
        How often it went from discharging to charging.
    charging : bool
        Which way it went last.
    short_ohm : float or None
        A short through the electrolyte; it holds no charge any more.
    worsened : float
        Factor on all resistances beyond ageing.
    """

    charge_Ah: float
    slow_V: float = 0.0
    turns: int = 0
    charging: bool = True
    short_ohm: float | None = None
    worsened: float = 1.0


class CellSample:
    """A cell in its holder, as the cycler sees it. Currents in A, positive on charge; times in s."""

    def __init__(self, truth: CellTruth) -> None:
        self.truth = truth
        self.area_cm2 = math.pi * truth.diameter_cm**2 / 4.0
        self.theory_Ah = truth.active_g * truth.specific_capacity_Ah_per_g
        self.limit_Ah = truth.utilisation * self.theory_Ah
        self._knee_Ah = truth.knee * self.limit_Ah
        self._j0_A = truth.exchange_current_A_per_cm2 * self.area_cm2
        self._slow_ohm = truth.polarisation_ohm_cm2 / self.area_cm2

    def fresh(self) -> CellState:
        """Return the cell as assembled: discharged, at the open circuit voltage the file says."""
        below_V = max(self.truth.equilibrium_V - self.truth.open_circuit_V, 1e-9)
        return CellState(
            charge_Ah=self._knee_Ah * math.log(self.truth.drop_V / below_V), short_ohm=self.truth.shorted_ohm
        )

    def resistance_ohm(self, state: CellState) -> float:
        """Return the series resistance of a cell of this age."""
        aged = 1.0 + self.truth.resistance_growth * state.turns
        return self.truth.resistance_ohm_cm2 / self.area_cm2 * aged * state.worsened

    def open_V(self, charge_Ah: float) -> float:
        """Return U(q)."""
        truth, k = self.truth, self._knee_Ah
        down = math.exp(min(-charge_Ah / k, _STEEPEST))
        up = math.exp(min((charge_Ah - self.limit_Ah) / k, _STEEPEST))
        return truth.equilibrium_V - truth.drop_V * down + truth.rise_V * up

    def voltage_V(self, state: CellState, current_A: float) -> float:
        """Return what stands at the terminals."""
        if state.short_ohm is not None:
            return current_A * state.short_ohm
        return self.open_V(state.charge_Ah) + state.slow_V + self._overpotential_V(state, current_A)

    def _overpotential_V(self, state: CellState, current_A: float) -> float:
        kinetic_V = TWO_RT_F_V * math.asinh(current_A / (2.0 * self._j0_A))
        return kinetic_V + self.resistance_ohm(state) * current_A

    def current_A(self, state: CellState, voltage_V: float, most_A: float) -> float:
        """Return the current that holds `voltage_V` now; at most `most_A` either way."""
        if state.short_ohm is not None:
            wanted_A = voltage_V / state.short_ohm
            return max(-most_A, min(most_A, wanted_A))
        wanted_V = voltage_V - self.open_V(state.charge_Ah) - state.slow_V
        low_A, high_A = -most_A, most_A
        for _ in range(60):
            middle_A = 0.5 * (low_A + high_A)
            if self._overpotential_V(state, middle_A) < wanted_V:
                low_A = middle_A
            else:
                high_A = middle_A
        return 0.5 * (low_A + high_A)

    def later(self, state: CellState, current_A: float, after_s: float) -> CellState:
        """Return the cell after `after_s` at a constant current."""
        if state.short_ohm is not None:
            return state
        kept = 1.0 - self.truth.coulombic_loss if current_A > 0.0 else 1.0
        stays = math.exp(-after_s / self.truth.polarisation_s)
        target_V = self._slow_ohm * state.worsened * current_A
        return CellState(
            charge_Ah=state.charge_Ah + kept * current_A * after_s / 3600.0,
            slow_V=target_V + (state.slow_V - target_V) * stays,
            turns=state.turns,
            charging=state.charging,
            short_ohm=state.short_ohm,
            worsened=state.worsened,
        )

    def course(self, state: CellState, current_A: float) -> Callable[[float], float]:
        """Return V(t) [V, s] at a constant current: `voltage_V` of `later`, what does not change worked out once."""
        if state.short_ohm is not None:
            shorted_V = current_A * state.short_ohm
            return lambda _: shorted_V
        kept_A = (1.0 - self.truth.coulombic_loss if current_A > 0.0 else 1.0) * current_A
        target_V = self._slow_ohm * state.worsened * current_A
        leaving_V, over_V = state.slow_V - target_V, self._overpotential_V(state, current_A)
        charge_Ah, slow_s, exp = state.charge_Ah, self.truth.polarisation_s, math.exp
        k, limit_Ah, plateau_V = self._knee_Ah, self.limit_Ah, self.truth.equilibrium_V
        drop_V, rise_V = self.truth.drop_V, self.truth.rise_V

        def volts(after_s: float) -> float:  # `open_V` written out: a million calls for each month of cycling
            slow_V = target_V + leaving_V * exp(-after_s / slow_s)
            at_Ah = charge_Ah + kept_A * after_s / 3600.0
            down, up = -at_Ah / k, (at_Ah - limit_Ah) / k
            open_V = (
                plateau_V
                - drop_V * exp(down if down < _STEEPEST else _STEEPEST)  # noqa: FURB136 - `min` is a call
                + rise_V * exp(up if up < _STEEPEST else _STEEPEST)  # noqa: FURB136
            )
            return open_V + slow_V + over_V

        return volts

    def turned(self, state: CellState, current_A: float) -> CellState:
        """Return the cell as a step of this direction begins; it ages when it turns to charging."""
        if current_A == 0.0 or (current_A > 0.0) == state.charging:
            return state
        return replace(state, charging=current_A > 0.0, turns=state.turns + (current_A > 0.0))
