"""A pellet's admittance: conductivities, limits of frequency, what stands beside it, and what a file may not say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl_sim_sample import EisSample, load_sample

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "protocols" / "samples"
BOLTZMANN_eV_per_K = 8.617333262e-5
PAPER = {  # sigma(25 degC) [S/cm], Ea [eV], and the resistances the pellets should have [ohm]
    "li2s_pellet": (7.51e-11, 0.235, 3.06e9),
    "lii_pellet": (0.97e-7, 0.107, 9.69e5),
    "li2s_lii_pellet": (6.72e-9, 0.212, 2.42e7),
}


def pellet(name: str) -> EisSample:
    """Return a shipped pellet."""
    return load_sample(SAMPLES / f"{name}.yaml").eis


@pytest.mark.parametrize("name", PAPER)
def test_the_shipped_pellets_conduct_as_published(name: str) -> None:
    """Conductivity at 25 degC, its activation over 25 to 150 degC and the resistance of 200 mg are the paper's."""
    sigma_S_per_cm, Ea_eV, R_ohm = PAPER[name]
    sample = pellet(name)
    assert sample.sigma_S_per_cm(298.15) == pytest.approx(sigma_S_per_cm)
    assert sample.resistance_ohm(298.15) == pytest.approx(R_ohm, rel=0.01)
    slope = math.log(sample.sigma_S_per_cm(423.15) / sample.sigma_S_per_cm(298.15)) / (1 / 298.15 - 1 / 423.15)
    assert slope * BOLTZMANN_eV_per_K == pytest.approx(Ea_eV)


@pytest.mark.parametrize("name", PAPER)
@given(f_Hz=st.floats(1e-3, 1e7), T_K=st.floats(250.0, 450.0))
def test_the_admittance_is_that_of_the_drawn_circuit(name: str, f_Hz: float, T_K: float) -> None:
    """Summed element by element as the file draws it, the admittance is the same."""
    sample, omega = pellet(name), 2 * math.pi * f_Hz
    truth, R = sample.truth, sample.resistance_ohm(T_K)
    boundaries = truth.boundaries
    C = 8.8541878128e-14 * truth.permittivity * sample.area_cm2 / truth.thickness_cm
    share = boundaries.share if boundaries else 0.0
    Z = 1 / (1 / ((1 - share) * R) + 1j * omega * C)
    if boundaries:
        R_gb = share * R
        Z += R_gb / (1 + (1j * omega * R_gb * boundaries.capacitance_F) ** boundaries.exponent)
    at_1_Hz = 2 * math.pi * truth.electrode.capacitance_F_per_cm2 * sample.area_cm2
    Z += 1 / (at_1_Hz * (1j * f_Hz) ** truth.electrode.exponent)
    Y = 1 / Z + 1j * omega * truth.holder.stray_F + 1 / truth.holder.leakage_ohm
    Z = 1 / Y + truth.holder.lead_ohm + 1j * omega * truth.holder.lead_H
    assert complex(sample.admittance_S(f_Hz, T_K)) == pytest.approx(1 / Z, rel=1e-9)


@pytest.mark.parametrize("name", PAPER)
def test_a_pellet_dissipates_and_never_delivers(name: str) -> None:
    """At every frequency the conductance is positive, and an open holder passes less than a filled one."""
    f_Hz = np.geomspace(1e-2, 1e6, 81)
    sample = pellet(name)
    assert (sample.admittance_S(f_Hz, 298.15).real > 0).all()
    assert (np.abs(sample.open_S(f_Hz)) < np.abs(sample.admittance_S(f_Hz, 298.15))).all()


def test_both_conventions_agree_where_the_conductivity_was_given(tmp_path: Path) -> None:
    """`ln sigma T` has the same sigma at 25 degC, and falls behind by the ratio of temperatures elsewhere."""
    text = (SAMPLES / "lii_pellet.yaml").read_text(encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("convention: ln sigma ", "convention: ln sigma T "), encoding="utf-8")
    plain, times_T = pellet("lii_pellet"), load_sample(other).eis
    assert times_T.sigma_S_per_cm(298.15) == pytest.approx(plain.sigma_S_per_cm(298.15))
    assert times_T.sigma_S_per_cm(400.0) == pytest.approx(plain.sigma_S_per_cm(400.0) * 298.15 / 400.0)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("sigma: 9.7e-8 S/cm", "sigma: 9.7e-8", "no unit"),
        ("sigma: 9.7e-8 S/cm", "sigma: 0 S/cm", "more than 0"),
        ("convention: ln sigma", "convention: log sigma", "choices"),
        ("permittivity: 17", "permittivity: 0.5", "at least 1"),
        ("permittivity: 17", "permitivity: 17", "did you mean 'permittivity'"),
        ("thickness: 0.74 mm", "thickness: 0.74 K", "not a unit of this kind"),
        ("exponent: 0.9", "exponent: 1.9", "at most 1"),
        ("stray_capacitance: 20 pF", "stray: 20 pF", "unknown key 'stray'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """What a pellet cannot be is refused with line and column."""
    text = (SAMPLES / "lii_pellet.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_sample(path)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if old in line)
    assert any(complaint in str(one) and one.line in {line, line - 1, 7} for one in caught.value.findings), caught.value


def test_a_pellet_is_nothing_for_a_spectrometer() -> None:
    """Asking a sample for what its file does not say names the file."""
    with pytest.raises(InputError, match=r"lii_pellet\.yaml has no section nmr"):
        _ = load_sample(SAMPLES / "lii_pellet.yaml").nmr
    with pytest.raises(InputError, match=r"two_site_demo\.yaml has no section eis"):
        _ = load_sample(SAMPLES / "two_site_demo.yaml").eis
