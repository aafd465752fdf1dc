"""The global fit of a campaign: truths come back, what is not identifiable is bounded, rivals are told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from labctl.analysis.fit import Fit
from labctl.analysis.global_doubts import doubts
from labctl.analysis.global_entries import (
    add_curves,
    campaign_entry,
    global_arrhenius,
    separate_entries,
)
from labctl.analysis.global_fit import CampaignFit, fit_campaign
from labctl.analysis.global_search import Hypothesis, Search
from labctl.analysis.layered_results import LayeredFit
from labctl.analysis.observation import Relaxation
from labctl.analysis.results import BuildUp
from labctl.analysis.structure import Structure
from tests.analysis.layered_campaign import KB_EV_PER_K, T_REF_K, Layers, Plan, measure

COATED = Layers()
STATED = Structure(
    layers=COATED.sites, density_per_nm3=dict(zip(COATED.sites, COATED.density, strict=True)), geometry="sphere"
)
PAIR = Layers(sites=("a", "b"), p=(0.4, 0.6), kD_per_s=(0.01, 0.03), Ea_eV=(0.15, 0.15), density=(1.0, 1.0))
SHORT = Plan(T_K=(293.15, 333.15, 373.15), tmix_s=(0.05, 0.3, 1.5, 6.0), noise=0.001, delays_s=np.geomspace(0.5, 80, 6))


def _fitted(truth: Layers, plan: Plan, seed: int | None, structure: Structure = STATED) -> CampaignFit:
    fitted = fit_campaign(measure(truth, plan, seed), structure)
    assert fitted is not None
    return fitted


def _phases(entry: LayeredFit) -> dict[str, tuple[float, float]]:
    return {
        one.phase: (one.Ea_eV, one.Ea_se_eV)
        for one in entry.phases
        if one.Ea_eV is not None and one.Ea_se_eV is not None
    }


def test_a_coated_electrode_without_noise_gives_its_energies() -> None:
    """Five temperatures, seven mixing times, no noise: Ea 0.142, 0.107 and 0.117 eV, kD and populations come back."""
    fitted = _fitted(COATED, Plan(noise=1e-5), None)
    assert not fitted.main.bounds
    entry = campaign_entry(fitted)
    energies = _phases(entry)
    assert {name: Ea for name, (Ea, _) in energies.items()} == pytest.approx(
        {"Li2S": 0.142, "LiI": 0.107, "LPSC": 0.117}, abs=5e-4
    )
    assert entry.campaign is not None
    kD = {one.phase: one.kD_per_s for one in entry.phases}
    expected = dict(zip(COATED.sites, COATED.kD(entry.campaign.T_ref_K).tolist(), strict=True))
    assert kD == pytest.approx(expected, rel=2e-3)
    assert entry.campaign.population == pytest.approx(COATED.p, abs=1e-5)
    assert entry.campaign.comparison is not None
    assert entry.campaign.comparison.favoured == "layered sphere"
    assert entry.campaign.comparison.decisive


def test_with_noise_the_electrolyte_is_only_bounded() -> None:
    """At a noise of 0.005 kD of LPSC is a lower bound below the truth, it has no Ea, and the others' Ea stand on it."""
    groups = measure(COATED, Plan(), 0)
    fitted = fit_campaign(groups, replace(STATED, length_m=5e-6, length_se_m=5e-7))
    assert fitted is not None
    entry = campaign_entry(fitted)
    assert entry.scope == "campaign"
    assert entry.campaign is not None
    by_name = {one.phase: one for one in entry.phases}
    fast = by_name["LPSC"]
    truth = dict(zip(COATED.sites, COATED.kD(entry.campaign.T_ref_K), strict=True))
    assert fast.bound == "lower"
    assert fast.Ea_eV is None
    assert fast.kD_per_s is not None
    assert 0.05 * truth["LPSC"] < fast.kD_per_s < truth["LPSC"]
    for name, Ea_eV in (("Li2S", 0.142), ("LiI", 0.107)):
        phase = by_name[name]
        assert phase.Ea_eV is not None
        assert phase.Ea_se_eV is not None
        assert abs(phase.Ea_eV - Ea_eV) < 3 * phase.Ea_se_eV
        assert phase.Ea_se_calibration_eV is not None
        assert phase.D_m2_per_s is not None
        assert phase.kD_per_s is not None
        assert phase.D_m2_per_s == pytest.approx(phase.kD_per_s * 25e-12)
        assert phase.D_se_m2_per_s is not None
        assert phase.D_se_m2_per_s > 0.2 * phase.D_m2_per_s, "twice the error of the length"
        assert phase.curve is not None
        assert phase.curve.low_per_s[0] < phase.curve.kD_per_s[0] < phase.curve.high_per_s[0]
    li2s = by_name["Li2S"]
    assert li2s.D_m2_per_s is not None
    reach_nm = 1e9 * np.sqrt(2 * li2s.D_m2_per_s * 10.0)
    assert any(f"Li2S {reach_nm:.3g} nm" in text for text in entry.assumptions)
    codes = [code for code, *_ in doubts(fitted)]
    assert codes.count("degeneracy") == 2, "the bound and the contact fraction"
    assert any("LPSC is only bounded: above" in text for text in entry.warnings)
    told = entry.campaign.comparison
    assert told is not None
    assert told.aicc["exchange"] > told.aicc["layered sphere"] + 100
    assert set(entry.campaign.Ea_geometry_range_eV) == {"Li2S", "LiI"}
    assert [one.geometry.split()[0] for one in entry.campaign.geometries] == ["stacked"]
    _rest_of_the_entries(fitted)


def _rest_of_the_entries(fitted: CampaignFit) -> None:
    single = separate_entries(fitted)
    assert [one.T_K for one in single] == [293.15, 313.15, 333.15, 353.15, 373.15]
    assert all(one.scope == "temperature" for one in single)
    lines = {one.quantity: one for one in global_arrhenius(fitted)}
    assert set(lines) == {"kD Li2S", "kD LiI"}
    for line in lines.values():
        assert line.model == "global"
        assert line.Ea_ci95_eV[0] < line.Ea_eV < line.Ea_ci95_eV[1]
        law = np.exp(line.ln_value_at_ref - line.Ea_eV / KB_EV_PER_K * (1 / np.array(line.T_K) - 1 / line.T_ref_K))
        assert np.all(np.abs(law - line.value) < 4 * np.array(line.value_se))
    build = BuildUp(
        T_K=333.15, pair=["Li2S", "LPSC"], tmix_s=[1.0], cross=[0.03], cross_se=[0.005], datasets=["x"],
        curve_tmix_s=[0.1, 10.0],
    )  # fmt: skip
    add_curves(fitted, [build])
    truth = COATED.matrices(333.15, np.array([0.1, 10.0]))
    expected = truth[:, 0, 2] / truth.sum(axis=(1, 2))
    assert build.curves["global"] == pytest.approx(expected, abs=0.01)


def test_energies_miss_by_their_errors() -> None:
    """Over 40 draws of a short campaign of three phases Ea of core and coating scatter by their standard errors."""
    z = np.array([_scores(seed, recoveries=False) for seed in range(40)])
    rms = np.sqrt(np.mean(z**2, axis=0))
    assert np.all((rms > 0.75) & (rms < 1.3)), rms
    assert np.all(np.abs(z.mean(axis=0)) < 0.5), z.mean(axis=0)


@pytest.mark.slow
def test_nominal_intervals_cover_the_truth() -> None:
    """Over 400 draws the nominal 95 % interval of either Ea holds the truth 92 to 98 times in a hundred."""
    z = np.abs([_scores(seed, recoveries=True) for seed in range(1000, 1400)])
    covered = np.mean(z < 1.96, axis=0)
    assert np.all((covered > 0.92) & (covered < 0.98)), covered


def _scores(seed: int, *, recoveries: bool) -> list[float]:
    """Ea minus the truth over its standard error, core and coating."""
    plan = replace(SHORT, noise=0.003, tmix_s=(0.1, 1.0, 8.0), recoveries=recoveries)
    plan = plan if recoveries else replace(plan, times_T1=20.0)
    groups = measure(COATED, plan, seed)
    mode: Relaxation = "recovery" if recoveries else "common"
    search = Search(groups, densities=np.array(COATED.density), relaxation=[mode] * len(groups))
    found = search.layered(Hypothesis(family="layered", order=(0, 1, 2)))
    return [(found.Ea(f"kD {i}")[0] - COATED.Ea_eV[i]) / found.Ea(f"kD {i}")[1] for i in (0, 1)]


def test_the_order_of_three_layers_is_found() -> None:
    """Without stated layers the coating is found in the middle, whatever the order of the sites."""
    fitted = fit_campaign(measure(COATED, replace(SHORT, T_K=(293.15, 373.15)), 1, (0, 2, 1)), Structure())
    assert fitted is not None
    assert fitted.sites == ("Li2S", "LPSC", "LiI")
    assert fitted.main.hypothesis.order[1] == 2
    assert not fitted.order_given
    assert any("order of the layers chosen by the data" in text for text in campaign_entry(fitted).assumptions)


def test_the_geometry_that_fits_is_reported() -> None:
    """Slabs are told from spheres where nothing is stated, and Ea of both stands in the entry."""
    truth = replace(PAIR, geometry="slab")
    fitted = _fitted(truth, SHORT, 2, Structure(layers=("a", "b")))
    assert fitted.main.hypothesis.geometry == "slab"
    entry = campaign_entry(fitted)
    assert entry.campaign is not None
    assert "concentric" in entry.campaign.geometries[0].geometry


def test_a_part_without_contact_is_found_if_the_data_ask_for_it() -> None:
    """A contact fraction of 0.7 comes back within its error; with all in contact none is fitted."""
    plan = replace(SHORT, tmix_s=(0.3, 3.0, 15.0, 60.0), delays_s=np.geomspace(1, 100, 6))
    truth = replace(PAIR, in_contact=0.7, T1_s=60.0, kD_per_s=(0.02, 0.06))
    entry = campaign_entry(_fitted(truth, plan, 3, Structure(layers=("a", "b"), geometry="sphere")))
    assert entry.campaign is not None
    assert entry.campaign.contact_fraction_se is not None
    assert abs(entry.campaign.contact_fraction - 0.7) < 4 * entry.campaign.contact_fraction_se
    assert entry.campaign.contact_fraction_se < 0.05


def test_a_resisting_contact_is_told_from_diffusion() -> None:
    """Where interfaces limit the exchange j0 comes back, and perfect contact is decisively worse."""
    truth = replace(PAIR, contact_per_s=0.2, kD_per_s=(0.1, 0.1))
    plan = replace(SHORT, tmix_s=(0.02, 0.1, 0.5, 2.0, 8.0))
    entry = campaign_entry(_fitted(truth, plan, 4, Structure(layers=("a", "b"), geometry="sphere")))
    assert entry.campaign is not None
    (contact,) = entry.campaign.contacts
    assert contact.rate_per_s is not None
    assert contact.rate_se is not None
    assert abs(contact.rate_per_s - 0.2) < 4 * contact.rate_se
    assert entry.campaign.comparison is not None
    assert "resisting contact" in entry.campaign.comparison.favoured


def test_a_bent_arrhenius_line_is_told() -> None:
    """A process that sets in between two temperatures is no Arrhenius law, and the number says so."""
    bent = dict(zip(SHORT.T_K, (1.0, 1.0, 3.0), strict=True))

    def matrices(T_K: float, times_s: np.ndarray) -> np.ndarray:
        return replace(PAIR, kD_per_s=tuple(bent[T_K] * k for k in PAIR.kD_per_s)).matrices(T_K, times_s)

    groups = measure(PAIR, SHORT, 5, matrices=matrices)
    fitted = fit_campaign(groups, Structure(layers=("a", "b"), geometry="sphere"))
    assert fitted is not None
    assert "not_arrhenius" in {code for code, *_ in doubts(fitted)}


def test_resamples_agree_with_the_covariance_and_the_profile() -> None:
    """Profile likelihood and parametric bootstrap give the same interval as the standard error, where all is linear."""
    fitted = _fitted(PAIR, SHORT, 6, Structure(layers=("a", "b"), geometry="sphere", bootstrap=40))
    straight = fitted.straightness()
    assert straight is not None
    assert straight[2] > 0.01, "an Arrhenius law is one"
    entry = campaign_entry(fitted)
    resolved = [one for one in entry.phases if one.Ea_ci95_eV is not None]
    assert resolved
    for phase in resolved:
        assert phase.Ea_eV is not None
        assert phase.Ea_se_eV is not None
        assert phase.Ea_ci95_eV is not None
        low, high = phase.Ea_ci95_eV
        assert low is not None
        assert high is not None
        assert high - low == pytest.approx(2 * 1.96 * phase.Ea_se_eV, rel=0.25)
        assert phase.Ea_bootstrap_ci95_eV is not None
        width = phase.Ea_bootstrap_ci95_eV[1] - phase.Ea_bootstrap_ci95_eV[0]
        assert width == pytest.approx(high - low, rel=0.5)


def test_without_exchange_no_diffusivity_is_claimed() -> None:
    """Where nothing crosses there is no kD, no bound on one, no Ea and no law; that is said."""
    fitted = _fitted(replace(PAIR, kD_per_s=(1e-9, 1e-9)), replace(SHORT, noise=0.003), 1, Structure())
    entry = campaign_entry(fitted)
    assert [(one.kD_per_s, one.Ea_eV, one.bound) for one in entry.phases] == [(None, None, None)] * 2
    assert not global_arrhenius(fitted)
    assert sum("is not resolved" in text for text in entry.warnings) == 2


def test_one_temperature_has_no_global_fit() -> None:
    """Nothing is said of activation energies from one temperature."""
    assert fit_campaign(measure(PAIR, replace(SHORT, T_K=(300.0,)), 7), Structure()) is None


@pytest.mark.parametrize("family", ["layered", "exchange", "interface"])
@pytest.mark.parametrize("activated", [True, False])
def test_derivatives_are_those_of_the_prediction(family: str, activated: bool) -> None:
    """Every column of the Jacobian is the difference quotient of the prediction, contact fraction included."""
    groups = measure(COATED, replace(SHORT, T_K=(293.15, 373.15)), 8)
    search = Search(groups, densities=np.array(COATED.density), relaxation=["recovery"] * 2)
    hypothesis = Hypothesis(family=family, order=(0, 1, 2), contact=family == "layered")  # type: ignore[arg-type]  # parametrized text
    count = {"layered": 5, "exchange": 3, "interface": 2}[family]
    guess = np.geomspace(0.02, 0.5, count)
    each = guess if activated else np.stack([guess, 2 * guess], axis=1)
    problem = search.problem(hypothesis, each, np.full(count, 0.1) if activated else None)
    at = np.array([one.guess for one in problem.model.parameters])
    _, gradient = problem.model.predict(at)
    for place, one in enumerate(problem.model.parameters):
        step = 1e-4 * max(abs(at[place]), 0.01)
        high, low = at.copy(), at.copy()
        high[place] += step
        low[place] -= step
        slope = (problem.model.predict(high)[0] - problem.model.predict(low)[0]) / (2 * step)
        assert gradient[:, place] == pytest.approx(slope, abs=2e-3 * np.abs(slope).max()), one.name


def test_held_parameters_have_no_errors_and_free_ones_keep_theirs() -> None:
    """What is held stays where it is held, with zero variance; the fit counts only what was free."""
    groups = measure(PAIR, SHORT, 9)
    search = Search(groups, densities=np.ones(2), relaxation=["recovery"] * 3)
    problem = search.problem(Hypothesis(family="layered", order=(0, 1)), np.array([0.02, 0.05]), np.full(2, 0.15))
    solution = problem.solve({"contact fraction": 1.0, "Ea kD 1": 0.15})
    assert problem.at(solution, "Ea kD 1") == 0.15
    assert problem.error(solution, "Ea kD 1") == 0.0
    assert problem.error(solution, "Ea kD 0") > 0
    assert isinstance(solution.fit, Fit)
    assert solution.fit.n_parameters == len(problem.model.parameters) - 2
    assert T_REF_K < search.T_ref_K < 373.15


def test_phases_that_share_a_diffusivity_share_its_numbers() -> None:
    """Stated as one, D and Ea of both phases are the same, come back, and are far better known than two of them."""
    truth = replace(PAIR, kD_per_s=(0.01, 0.01))
    shared = _fitted(truth, SHORT, 5, Structure(layers=("a", "b"), geometry="sphere", diffusivity="one"))
    entry = campaign_entry(shared)
    assert [one.phase for one in entry.phases] == ["a", "b"]
    assert entry.phases[1] == entry.phases[0].model_copy(update={"phase": "b"})
    Ea, error = _phases(entry)["a"]
    assert abs(Ea - 0.15) < 4 * error
    own = _phases(campaign_entry(_fitted(truth, SHORT, 5, Structure(layers=("a", "b"), geometry="sphere"))))
    assert all(2 * error < other for _, other in own.values())
    assert [one.quantity for one in global_arrhenius(shared)] == ["kD a-b"]
    assert any("one D and Ea for all phases" in text for text in entry.assumptions)
