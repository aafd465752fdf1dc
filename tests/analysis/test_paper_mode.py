"""The published analysis, repeated: what it makes of a known truth, and that it says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from labctl.analysis.campaign import analyze_campaign
from labctl.analysis.context import AnalysisContext
from labctl.analysis.diffusion import mixing_matrix
from labctl.analysis.paper_mode import Intensities, fit_cube, fit_pairs
from labctl.analysis.paper_results import HeightRates, PaperMode
from labctl.analysis.product import cube_exchanged
from labctl.analysis.results import Results
from labctl.cli.paper_lines import paper_lines
from tests.analysis.small_lab import Lab

FloatArray = NDArray[np.float64]

KB_EV_PER_K = 8.617333262e-5
T_K = np.array([293.15, 313.15, 333.15, 353.15, 373.15])
TMIX_S = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0])
DENSITY, RADII = np.array([43.5, 18.3, 22.1]), np.array([0.0, 1.0, 1.11767, 1.50194])
P: FloatArray = DENSITY * np.diff(RADII**3) / np.sum(DENSITY * np.diff(RADII**3))
"""Li2S core, LiI coating, LPSC shell."""


def _coated(T: float) -> FloatArray:
    """Return A, shape (7, 3, 3), of three phases in series with Ea 0.142, 0.107 and 0.117 eV."""
    energy = np.array([0.142, 0.107, 0.117])
    kD = np.array([0.003, 0.010, 1.0]) * np.exp(-energy / KB_EV_PER_K * (1 / T - 1 / 293.15))
    return mixing_matrix(TMIX_S, P, kD, densities=DENSITY)


def _series(noise: float | None = None) -> list[Intensities]:
    covariances = None if noise is None else [noise**2 * np.eye(9)] * TMIX_S.size
    return [Intensities.of(float(T), TMIX_S.tolist(), list(_coated(T)), P, covariances) for T in T_K]


def test_phases_in_series_come_back_with_the_bias_of_pairs_and_as_misfits() -> None:
    """Without noise 0.142/0.107/0.117 eV in series come back as 0.111, 0.155 and 0.105 eV, and every pair misfits."""
    li2s_lii, li2s_lpsc, lii_lpsc = fit_pairs(_series())

    assert li2s_lpsc.Ea_eV == pytest.approx(0.155, abs=0.002)
    assert li2s_lii.Ea_eV == pytest.approx(0.111, abs=0.002)
    assert lii_lpsc.Ea_eV == pytest.approx(0.105, abs=0.002)
    assert [one.rms for one in (li2s_lpsc, li2s_lii, lii_lpsc)] == pytest.approx([0.015, 0.005, 0.009], abs=1e-3)
    assert all(one.misfits for one in (li2s_lii, li2s_lpsc, lii_lpsc))
    assert all(one.rms_of_plateau > 0.05 for one in (li2s_lii, li2s_lpsc, lii_lpsc))


def test_a_misfit_is_held_against_the_noise_where_that_is_known() -> None:
    """Residuals of 0.015 are misfit at a noise of 0.002 and chance at one of 0.05."""
    sharp, dull = ([one.misfits for one in fit_pairs(_series(noise))] for noise in (0.002, 0.05))
    assert all(sharp)
    assert not any(dull)


def test_the_model_itself_comes_back() -> None:
    """Pairwise truth of the same form returns its energies and rates without misfit, from any unit."""
    p, Ea, kD = np.array([0.5, 0.2, 0.3]), [0.142, 0.107, 0.117], [0.003, 0.02, 0.01]
    series = []
    for T in T_K:
        A = np.tile(np.diag(p), (TMIX_S.size, 1, 1))
        for (i, j), E, k in zip([(0, 1), (0, 2), (1, 2)], Ea, kD, strict=True):
            x = k * np.exp(-E / KB_EV_PER_K * (1 / T - 1 / 293.15)) * TMIX_S
            crossed = p[i] * p[j] * cube_exchanged(x, 0.0)
            A[:, [i, j], [j, i]] += crossed[:, None]
            A[:, [i, j], [i, j]] -= crossed[:, None]
        series.append(Intensities.of(float(T), TMIX_S.tolist(), list(7e5 * A), p))
    found = fit_pairs(series)

    assert [one.Ea_eV for one in found] == pytest.approx(Ea, abs=1e-6)
    assert [one.fits[0].kD_per_s for one in found] == pytest.approx(kD, rel=1e-5)
    assert not any(one.misfits for one in found)


def test_every_point_counts_alike() -> None:
    """Errors of the data do not move the curve: it is the plain least-squares one."""
    plain = fit_cube(_series()[0], 0, 2)
    rng = np.random.default_rng(1)
    covariances = [np.diag(rng.uniform(1e-6, 1e-2, 9)) for _ in TMIX_S]
    other = fit_cube(Intensities.of(293.15, TMIX_S.tolist(), list(_coated(293.15)), P, covariances), 0, 2)
    assert other.kD_per_s == plain.kD_per_s
    grid = plain.kD_per_s * np.exp(np.linspace(-0.02, 0.02, 81))
    sums = [np.sum((P[0] * P[2] * cube_exchanged(kD * TMIX_S, 0.0) - _coated(293.15)[:, 0, 2]) ** 2) for kD in grid]
    assert int(np.argmin(sums)) == 40


def test_errors_of_symmetrised_fractions_are_those_of_many_draws() -> None:
    """The error of the mean of both cross peaks, divided by the sum, agrees with draws from the covariance."""
    rng = np.random.default_rng(3)
    root = 0.002 * rng.standard_normal((9, 9))
    A = _coated(333.15)[4]
    draws = A.ravel() + rng.standard_normal((100_000, 9)) @ root.T
    fractions = draws / draws.sum(axis=1, keepdims=True)
    mean = 0.5 * (fractions[:, [1, 2, 5]] + fractions[:, [3, 6, 7]])
    stated = Intensities.of(300.0, [2.0], [A], P, [root @ root.T]).cross_se
    assert stated is not None
    assert stated[0, [0, 0, 1], [1, 2, 2]] == pytest.approx(mean.std(axis=0), rel=0.02)


def test_what_the_data_do_not_hold_makes_no_energy() -> None:
    """No cross peak at all ends at the bound and is left out of the Arrhenius line; one temperature has none."""
    nothing = [Intensities.of(float(T), TMIX_S.tolist(), [np.diag(P)] * 7, P) for T in T_K]
    found = fit_pairs(nothing)[0]
    assert all(one.at_bound for one in found.fits)
    assert found.Ea_eV is None
    assert fit_pairs(_series()[:1])[0].Ea_eV is None
    assert fit_pairs(_series()[:2])[0].Ea_se_eV is None


def _small_campaign(lab: Lab, temperatures_K: Sequence[float] = (333.15,)) -> Results:
    for T in temperatures_K:
        for index, tmix_s in enumerate((0.01, 0.3, 1.2)):
            lab.exsy(T, f"tmix{index + 1:02d}", tmix_s)
    return analyze_campaign(lab.run_dir, AnalysisContext(sites=lab.sample.ppm))


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> PaperMode:
    """Return what the published analysis makes of a small campaign."""
    paper = _small_campaign(Lab(run_dir=tmp_path_factory.mktemp("paper") / "run"), (313.15, 333.15, 353.15)).exsy.paper
    assert paper is not None
    return paper


def test_it_stands_beside_a_campaigns_results_and_is_labelled(repeated: PaperMode) -> None:
    """Boxes and lines each give their Ea, the bias and the reference energies beside them, under a label of its own."""
    paper = repeated
    assert paper.label == "as the paper did it"
    assert [(one.pair, one.intensities) for one in paper.pairs] == [(["A", "B"], "boxes"), (["A", "B"], "lines")]
    boxes, lines = paper.pairs
    assert boxes.Ea_eV is not None
    assert lines.Ea_eV is not None
    assert len(lines.kD_per_s) == 3
    assert "k A->B (exchange)" in boxes.reference_Ea_eV
    assert boxes.overstated is not None
    assert boxes.overstated[0] > 0.5
    assert any("boxes alone move it" in text for text in paper.bias)
    assert any("read diagonal peaks" in text for text in paper.bias)
    assert [len(one.bias) >= 1 for one in paper.heights] == [True] * 3


def test_exchange_fitted_by_cubes_is_told_to_misfit(lab: Lab) -> None:
    """Discrete exchange is no cube: told with the residual as a part of the plateau, and in this mode alone."""
    lab.noise = 0.002
    results = _small_campaign(lab)
    assert results.exsy.paper is not None
    lines = results.exsy.paper.pairs[1]
    assert lines.misfits
    assert lines.rms_of_plateau > 0.02
    (told,) = [text for text in results.exsy.paper.warnings if "misfits" in text]
    assert f"A-B on lines: rms {lines.rms:.4f}" in told
    assert not any("misfits" in one.message for one in results.warnings)


def test_heights_are_never_offered_without_their_bias() -> None:
    """The schema itself refuses rates from peak heights that come without a sentence on their bias."""
    with pytest.raises(ValidationError, match="bias"):
        HeightRates(T_K=298.0, sites=["a", "b"], k_per_s=[[0, 1], [1, 0]], k_of_lines_per_s=[[0, 1], [1, 0]], bias=[])


def test_boxes_that_overstate_are_told(lab: Lab) -> None:
    """Lines that touch make boxes overstate a weak cross peak by more than half, which is told with the factor."""
    lab.sample.ppm = {"A": 0.4, "B": -0.4}
    lab.sample.fwhm_Hz = (30.0, 25.0)
    lab.sample.k_AB_at_333K = 0.2
    results = _small_campaign(lab)
    assert results.exsy.paper is not None
    assert results.exsy.paper.pairs[0].overstated is not None
    factor = results.exsy.paper.pairs[0].overstated[1]
    assert factor > 1.5
    assert any(f"A-B up to {factor:.1f} x" in text for text in results.exsy.paper.warnings)


def test_the_terminal_sets_it_apart(repeated: PaperMode) -> None:
    """On the terminal it comes under its label, with each pair's misfit and every sentence on its bias."""
    paper = repeated
    lines = list(paper_lines(paper))
    assert lines[0].startswith("as the paper did it, for comparison only")
    assert "A-B from boxes: Ea = " in lines[1]
    assert sum("bias:" in line for line in lines) == len(paper.bias) + len(paper.heights[0].bias)
