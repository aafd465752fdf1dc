"""The linear Kramers-Kronig test: published outcomes, spectra that obey, spectra that drift or bend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labctl.analysis.eis.kramers_kronig import kramers_kronig
from labctl.analysis.eis.spectrum import kramers_kronig_of, scatter_of
from labctl.formats.impedance_file import read_impedance
from tests.analysis.eis.pellets import FREQUENCY_HZ, LI2S, LII, MIXTURE, measured, sweep_of, textbook


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "terms", "mu", "largest"),
    [("autolab-zview.txt", 15, 0.825, 0.0101), ("autolab-fra.dfr", 19, 0.814, 2.4e-4)],
)
def test_published_outcomes(shared_data: Path, name: str, terms: int, mu: float, largest: float) -> None:
    """Terms, mu and the largest residual are those another program finds on the same files."""
    (spectrum,) = read_impedance(shared_data / "eis" / name)
    kk = kramers_kronig(spectrum.frequency_Hz, spectrum.Z_ohm, second_try=False)
    assert kk.terms == terms
    assert kk.mu == pytest.approx(mu, abs=1e-3)
    assert kk.max_residual == pytest.approx(largest, rel=0.02)


def test_circuits_pass() -> None:
    """Whatever circuit and however noisy the current, data of a linear sample pass with their noise known."""
    for seed in range(5):
        for pellet in (LI2S, LII, MIXTURE):
            for current_noise_A in (3e-13, 3e-12):
                assert kramers_kronig_of(sweep_of(pellet, 298.15, current_noise_A, seed)).passed


def test_a_sharp_arc_passes_without_its_noise_known() -> None:
    """Resistor and capacitor, exact or with 0.2 % noise, pass wherever their time constant lies; blunt arcs too."""
    s = 2j * np.pi * FREQUENCY_HZ
    for n in (0.7, 0.8, 0.9):
        exact = 1 / (1e-6 + 1e-8 * s**n) + 1 / (1e-6 * s**n)
        assert kramers_kronig(FREQUENCY_HZ, exact).passed
    for C in np.geomspace(1e-10, 1e-8, 9):
        Y = 1e-6 + C * s
        assert kramers_kronig(FREQUENCY_HZ, np.asarray(1 / Y)).passed
        assert kramers_kronig(FREQUENCY_HZ, measured(Y, 1e-13, 3)).passed
    f, Z, _ = textbook()
    assert kramers_kronig(f, Z).max_residual < 0.02


def test_drift_fails() -> None:
    """A sample that loses a third of its resistance during the sweep is no stable system."""
    s = 2j * np.pi * FREQUENCY_HZ
    R = 1e6 * np.linspace(1.0, 0.67, s.size)
    Z = 1 / (1 / R + 1e-9 * s)
    kk = kramers_kronig(FREQUENCY_HZ, np.asarray(Z))
    assert not kk.passed
    assert kk.max_residual > 0.02


def test_a_small_drift_fails_by_its_pattern() -> None:
    """A loss of 10 % over the sweep leaves less than 1 %, but in waves that noise does not make."""
    s = 2j * np.pi * FREQUENCY_HZ
    R = 1e6 * np.linspace(1.0, 0.9, s.size)
    kk = kramers_kronig(FREQUENCY_HZ, np.asarray(1 / (1 / R + 1e-8 * s**0.85)))
    assert kk.max_residual < 0.01
    assert not kk.passed


def test_a_step_between_ranges_fails() -> None:
    """A gain that jumps by 5 % where the range changed is found."""
    Y = LII.admittance(298.15)
    Z = measured(Y, 1e-14, 2)
    Z[25:] *= 1.05
    assert not kramers_kronig(FREQUENCY_HZ, Z).passed


def test_estimated_noise_is_that_put_in() -> None:
    """Current and gain noise are found from one spectrum's own scatter, within 40 %."""
    currents, gains = [], []
    for seed in range(12):
        Z = measured(MIXTURE.admittance(298.15), 3e-12, seed, gain_noise=3e-3)
        model = scatter_of(FREQUENCY_HZ, np.asarray(1 / Z))
        currents.append(model.current_noise_A / model.amplitude_V_rms * 5e-3)
        gains.append(model.gain * np.sqrt(2))  # gain noise acts on one of two quadratures
    assert np.median(currents) == pytest.approx(3e-12, rel=0.4)
    assert np.median(gains) == pytest.approx(3e-3, rel=0.4)
