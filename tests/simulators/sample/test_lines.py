"""Lines as sums of isochromats, against brute-force sums."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from scipy.special import voigt_profile

from labctl_sim_sample._lines import ComplexArray, Line, correlated_rows
from labctl_sim_sample._modes import FloatArray

Shape = Literal["lorentz", "gauss", "voigt"]
SHAPES: tuple[Shape, ...] = ("lorentz", "gauss", "voigt")
GAUSS_SD = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
"""Standard deviation of a Gauss line of full width 1."""


def isochromats_Hz(shape: Shape, width_Hz: float, count: int) -> FloatArray:
    """Return offsets of equal weight that fill the distribution (quantiles)."""
    from scipy.stats import norm

    u = (np.arange(count) + 0.5) / count
    quantiles = np.tan(np.pi * (u - 0.5)) / 2.0 if shape == "lorentz" else GAUSS_SD * norm.ppf(u)
    offsets: FloatArray = width_Hz * quantiles
    return offsets


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("inhomogeneous", [0.3, 1.0])
def test_spins_that_stay_are_the_sum_over_isochromats(shape: Shape, inhomogeneous: float) -> None:
    """The closed form equals the average over many spins of one offset each, as far as quantiles of long tails go."""
    line = Line(width_Hz=25.0, inhomogeneous=inhomogeneous, shape=shape)
    t1_s, t2_s = np.linspace(0.0, 0.02, 7), np.linspace(0.0, 0.05, 23)
    nu_Hz = 80.0
    label, precession = np.exp(2j * np.pi * nu_Hz * t1_s), np.exp(2j * np.pi * nu_Hz * t2_s)
    cosine, sine = correlated_rows(line, label, precession, t1_s, t2_s)

    angle = 2.0 * np.pi * (nu_Hz + isochromats_Hz(shape, 25.0 * inhomogeneous, 40_001))
    detect = np.exp(1j * angle[:, None] * t2_s) * line.homogeneous(t2_s)
    for rows, encode in ((cosine, np.cos), (sine, np.sin)):
        twin: ComplexArray = (encode(t1_s[:, None] * angle) @ detect) / angle.size * line.homogeneous(t1_s)[:, None]
        assert rows == pytest.approx(twin, abs=3e-3 if shape == "lorentz" else 2e-4)


@pytest.mark.parametrize("shape", ["lorentz", "gauss"])
@pytest.mark.parametrize("inhomogeneous", [0.0, 0.4, 1.0])
def test_the_1d_line_does_not_tell_how_it_is_broadened(shape: Shape, inhomogeneous: float) -> None:
    """Homogeneous decay times offsets gives the same FID for every fraction; only the 2D differs."""
    t_s = np.linspace(0.0, 0.1, 50)
    line = Line(width_Hz=18.0, inhomogeneous=inhomogeneous, shape=shape)
    assert line.decay(t_s) == pytest.approx(Line(width_Hz=18.0, inhomogeneous=0.0, shape=shape).decay(t_s))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_spectrum_has_the_stated_profile(shape: Shape) -> None:
    """The Fourier transform is the Voigt profile of the two widths; pure lines have their full width at half height."""
    line = Line(width_Hz=20.0, inhomogeneous=0.5, shape=shape)
    t_s = np.arange(0.0, 1.0, 2e-5)
    sigma, gamma = {
        "lorentz": (0.0, 10.0),
        "gauss": (20.0 * GAUSS_SD, 0.0),
        "voigt": (10.0 * GAUSS_SD, 5.0),
    }[shape]
    decay = line.decay(t_s)
    for offset_Hz in (0.0, 5.0, 10.0, 20.0):
        absorption = 2.0 * np.trapezoid(decay * np.cos(2.0 * np.pi * offset_Hz * t_s), t_s)
        assert absorption == pytest.approx(float(voigt_profile(offset_Hz, sigma, gamma)), rel=1e-5, abs=1e-7)


def test_a_lasting_offset_gives_an_echo_ridge_along_the_diagonal() -> None:
    """For t1 = t2 the offsets of the difference term are refocused: half of the signal outlives the line width."""
    line = Line(width_Hz=30.0, inhomogeneous=1.0, shape="gauss")
    t_s = np.array([0.1])
    cosine, sine = correlated_rows(line, np.ones(1, complex), np.ones(1, complex), t_s, t_s)
    assert line.decay(t_s)[0] < 1e-6
    assert cosine[0, 0] == pytest.approx(0.5, abs=1e-6)
    assert sine[0, 0] == pytest.approx(0.5j, abs=1e-6)
