"""Results that reports are drawn from."""

from __future__ import annotations

import pytest

from labctl.analysis.results import (
    T1,
    Arrhenius,
    BuildUp,
    Certificate,
    ExchangeFit,
    MatrixEntry,
    Results,
    ResultWarning,
    Site,
)


@pytest.fixture
def results() -> Results:
    """Results of a small two-temperature campaign, for one test to change as it likes."""
    return _drawable()


@pytest.fixture(scope="module")
def kept_results() -> Results:
    """Return the same for a whole module."""
    return _drawable()


def _drawable() -> Results:
    """Results of which the numbers only need to be drawable."""
    filled = Results(campaign="a <b>&c", certificate=Certificate(planned=4, acquired=4, repeated=0, lost=0))
    filled.warnings.append(ResultWarning(code="asymmetry", message="3.4 sigma", advice="wait longer", where="T01"))
    filled.exsy.sites = [Site(name="Li2S", ppm=2.31), Site(name="LPSC", ppm=1.29)]
    for T_K, rate in ((293.0, 1.0), (313.0, 2.0)):
        tmix = [0.01, 0.1, 1.0]
        filled.exsy.buildup.append(
            BuildUp(
                T_K=T_K,
                pair=["Li2S", "LPSC"],
                tmix_s=tmix,
                cross=[0.002, 0.03, 0.2],
                cross_se=[0.003] * 3,
                datasets=["a", "b", "c"],
                curve_tmix_s=tmix,
                curves={"exchange": [0.002, 0.03, 0.2], "layered": [0.01, 0.04, 0.19]},
            )
        )
        filled.exsy.matrices.append(
            MatrixEntry(
                T_K=T_K, tmix_s=0.1, A=[[0.5, 0.1], [0.1, 0.3]], A_se=[[0.01] * 2] * 2, normalisation="sum", dataset="a"
            )
        )
        filled.exsy.fits.append(
            ExchangeFit(
                T_K=T_K,
                sites=["Li2S", "LPSC"],
                k_per_s=[[0.0, rate], [rate, 0.0]],
                k_se=[[0.0, 0.1], [0.1, 0.0]],
                population=[0.5, 0.5],
                population_se=[0.01, 0.01],
                relaxation="common, cancels",
                chi2_red=1.0,
                n_data=12,
                n_parameters=3,
                datasets=["a"],
            )
        )
        filled.t1.append(
            T1(
                site="Li2S",
                T_K=T_K,
                T1_s=2.0,
                T1_se_s=0.1,
                model="M0 (1 - alpha exp(-t/T1))",
                alpha=1.0,
                alpha_se=0.01,
                M0=1.0,
                M0_se=0.01,
                chi2_red=1.0,
                delays_s=[0.1, 1.0, 10.0],
                intensities=[0.05, 0.4, 1.0],
                intensity_se=[0.01] * 3,
                dataset="t1",
            )
        )
    filled.exsy.arrhenius.append(
        Arrhenius(
            quantity="k Li2S->LPSC",
            model="exchange",
            convention="ln k",
            Ea_eV=0.15,
            Ea_se_eV=0.02,
            Ea_ci95_eV=[0.11, 0.19],
            ln_value_at_ref=0.3,
            ln_value_at_ref_se=0.05,
            T_ref_K=303.0,
            T_K=[293.0, 313.0],
            value=[1.0, 2.0],
            value_se=[0.1, 0.1],
        )
    )
    return filled
