"""Which circuit is taken, what is said to be unresolved, and limits that hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from labctl.analysis.eis.choose import choose_circuit, choose_circuits, parallel_conductance, total_resistance
from labctl.analysis.eis.circuits import circuit
from labctl.analysis.eis.fitting import Sweep, fit_circuit
from labctl.analysis.eis.noise import Fixture
from tests.analysis.eis.pellets import FREQUENCY_HZ, LI2S, LII, MIXTURE, known, measured, sweep_of


def test_a_blocked_arc_is_recognised() -> None:
    """Bulk and blocking electrode in the window give (RQ)Q, all resolved, R to a part in a thousand."""
    choice = choose_circuit(sweep_of(LII, 298.15, 3e-13, 0))
    assert choice.best.fit.circuit.text == "(RQ)Q"
    assert choice.best.identified
    assert pytest.approx(LII.conductance(298.15), rel=2e-3) == choice.conductance.G_S
    assert not choice.warnings


def test_two_arcs_are_recognised() -> None:
    """Bulk and grain boundary a hundred times slower are two arcs before the electrode, and R is their sum."""
    s = 2j * np.pi * FREQUENCY_HZ
    Z0 = 1 / (1 / 2e5 + 2e-11 * s) + 1 / (1 / 3e5 + 2e-9 * s**0.95) + 1 / (2e-6 * s**0.9)
    sweep = Sweep(frequency_Hz=FREQUENCY_HZ, Z_ohm=measured(1 / Z0, 1e-13, 4), errors=known(1e-13))
    choice = choose_circuit(sweep)
    assert choice.best.fit.circuit.text == "(RQ)(RQ)Q"
    R, relative = total_resistance(choice.best.fit)
    assert pytest.approx(5e5, abs=4 * relative * 5e5) == R
    assert relative < 0.01


def hidden_electrode(current_noise_A: float, seed: int) -> Sweep:
    """Return a sweep of a cold pellet of two arcs, whose electrode has a hundredth of the modulus at the low end."""
    s = 2j * np.pi * FREQUENCY_HZ
    R, electrode = 1e7, 1 / (1.4e-6 * s**0.9)
    Z0 = 0.8 * R / (1 + 0.8 * R * 7e-12 * s) + 0.2 * R / (1 + (0.2 * R * 1e-8 * s) ** 0.95) + electrode
    Z = measured(1 / Z0, current_noise_A, seed)
    return Sweep(frequency_Hz=FREQUENCY_HZ, Z_ohm=Z, errors=known(current_noise_A))


def test_an_electrode_that_hides_does_not_bias_the_resistance() -> None:
    """Over 40 seeds R averaged with and without electrode is off by 0.7 to 1.35 errors rms, the winner's by more."""
    sweeps = [hidden_electrode(3e-12, seed) for seed in range(40)]
    choices = choose_circuits(sweeps, circuits=("(RQ)(RQ)", "(RQ)(RQ)Q"), starts=4)
    averaged, alone = [], []
    for one in choices:
        G = one.conductance
        R, relative = total_resistance(one.best.fit)
        averaged.append((G.G_S - 1e-7) / G.G_se_S)
        alone.append((R - 1e7) / (R * relative))
        among = [total_resistance(candidate.fit)[0] for candidate in one.candidates]
        assert min(among) * (1 - 1e-9) <= 1 / G.G_S <= max(among) * (1 + 1e-9)
        assert set(G.weights) <= {"(RQ)(RQ)", "(RQ)(RQ)Q"}
        assert sum(G.weights.values()) == pytest.approx(1.0)
    assert 0.7 < np.sqrt(np.mean(np.square(averaged))) < 1.35
    assert np.sqrt(np.mean(np.square(alone))) > 1.35


def test_an_electrode_in_plain_sight_is_not_averaged_away() -> None:
    """Where AICc is sure of the electrode, the number and its error are the chosen circuit's own."""
    choice = choose_circuit(sweep_of(LII, 298.15, 3e-13, 0))
    R, relative = total_resistance(choice.best.fit)
    assert choice.conductance.weights["(RQ)Q"] > 0.999
    assert pytest.approx(1 / R, rel=1e-6) == choice.conductance.G_S
    assert pytest.approx(relative / R, rel=1e-3) == choice.conductance.G_se_S


def test_an_arc_above_the_window_leaves_its_intercept() -> None:
    """Where only the electrode is in the window, R is the intercept."""
    s = 2j * np.pi * FREQUENCY_HZ
    Z0 = 1 / (1 / 800.0 + 1e-12 * s) + 1 / (2e-6 * s**0.9)
    sweep = Sweep(
        frequency_Hz=FREQUENCY_HZ, Z_ohm=measured(1 / Z0, 1e-12, 4), errors=replace(known(1e-12), phase_rad=2e-3)
    )
    choice = choose_circuit(sweep)
    assert choice.best.fit.circuit.text == "RQ"
    assert pytest.approx(800.0, rel=0.01) == 1 / choice.conductance.G_S


def test_li2s_under_three_picoampere_is_not_resolved() -> None:
    """At 25 C most sweeps say so, limits hold for 95 % or so, and the few numbers given are within their errors."""
    G = LI2S.conductance(298.15)
    choices = choose_circuits([sweep_of(LI2S, 298.15, 3e-12, seed) for seed in range(30)], starts=4)
    unresolved = [one.conductance for one in choices if not one.conductance.resolved]
    assert len(unresolved) > 15
    below = [one.upper_S for one in unresolved if one.upper_S is not None]
    assert len(below) == len(unresolved)
    assert sum(upper > G for upper in below) >= 0.85 * len(below)
    for one in choices:
        assert abs(one.conductance.G_S - G) < 4 * one.conductance.G_se_S


def test_li2s_drowned_is_an_upper_limit_alone() -> None:
    """Under 30 pA nothing is detected: an upper limit above the truth, no lower one, estimates of both signs."""
    G = LI2S.conductance(298.15)
    sweeps = [sweep_of(LI2S, 298.15, 3e-11, seed) for seed in range(16)]
    found = [one.conductance for one in choose_circuits(sweeps, starts=4)]
    assert not any(one.resolved for one in found)
    assert sum((one.upper_S or 0.0) > G for one in found) >= 14
    assert sum(one.lower_S is None for one in found) >= 12
    assert any(one.G_S < 0 for one in found)
    assert any(one.G_S > 0 for one in found)


def test_an_open_holder_has_no_resistance() -> None:
    """A capacitor alone is never given a resistance, whatever the circuits offered."""
    s = 2j * np.pi * FREQUENCY_HZ
    for seed in range(6):
        sweep = Sweep(frequency_Hz=FREQUENCY_HZ, Z_ohm=measured(20e-12 * s, 3e-13, seed), errors=known(3e-13))
        found = choose_circuit(sweep, starts=4).conductance
        assert not found.resolved
        assert found.upper_S is not None
        assert found.upper_S < 3e-10


def test_leads_are_not_the_sample() -> None:
    """An open holder behind 50 ohm of leads that a good phase resolves has those leads, and no sample's resistance."""
    s = 2j * np.pi * FREQUENCY_HZ
    sweep = Sweep(
        frequency_Hz=FREQUENCY_HZ,
        Z_ohm=measured(1 / (50 + 1 / (20e-12 * s)), 3e-14, 1, gain_noise=1e-5),
        errors=known(3e-14, 1e-5),
    )
    choice = choose_circuit(sweep)
    assert not choice.conductance.resolved
    assert abs(choice.conductance.G_S) < 1e-10


def test_parallel_conductance_is_unbiased() -> None:
    """The mean of many estimates is the truth, and they scatter as their errors say."""
    G = LI2S.conductance(298.15)
    found = [parallel_conductance(sweep_of(LI2S, 298.15, 3e-11, seed)) for seed in range(40)]
    z = np.array([(one - G) / se for one, se, _ in found])
    assert abs(z.mean()) < 3.5 / np.sqrt(40)
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.35)


def test_leakage_error_enters_the_conductance() -> None:
    """The error of the holder's leakage is added to that of the conductance."""
    sweep = sweep_of(LI2S, 423.15, 3e-13, 0)
    shaky = Sweep(
        frequency_Hz=sweep.frequency_Hz,
        Z_ohm=sweep.Z_ohm,
        errors=sweep.errors,
        fixture=Fixture(leakage_se_S=1e-10),
    )
    (fit,) = fit_circuit([sweep], circuit("(RQ)"))
    (wide,) = fit_circuit([shaky], circuit("(RQ)"))
    R, relative = total_resistance(fit)
    assert total_resistance(wide)[1] == pytest.approx(np.hypot(relative, 1e-10 * R), rel=1e-6)


def test_too_few_points_are_no_spectrum() -> None:
    """Two points support no circuit."""
    sweep = sweep_of(MIXTURE, 298.15, 3e-13, 0)
    with pytest.raises(ValueError, match="too few"):
        choose_circuit(Sweep(frequency_Hz=sweep.frequency_Hz[:2], Z_ohm=sweep.Z_ohm[:2], errors=sweep.errors))
