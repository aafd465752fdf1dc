"""Masses, charges and currents of a cell, held to the worked example of the Li2S(LiI) cells and to exact relations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.plan.cycling import Electrode, charging_s, specific_capacity_mAh_per_g

PAPER = Electrode(
    mixture_mg=12.0,
    mixture_by_mass={"composite": 4, "LPSC": 4, "carbon": 2},
    composite_by_mole={"Li2S": 3, "LiI": 1},
    diameter_mm=10.0,
)
SERIES = (200.0, 300.0, 400.0, 500.0, 600.0)


def test_the_paper_s_cell() -> None:
    """12 mg of 4:4:2, Li2S:LiI 3:1, per gram of Li2S: 0.10367 mA, 0.4871 to 1.4612 mAh, 47 h of charging."""
    charges = tuple(PAPER.charge_Ah(target, "Li2S") for target in SERIES)
    current_A = PAPER.current_A(0.132)
    assert [f"{1000 * charge:.4f}" for charge in charges] == ["0.4871", "0.7306", "0.9741", "1.2176", "1.4612"]
    assert f"{1000 * current_A:.5f}" == "0.10367"
    assert round(charging_s(charges, current_A) / 3600.0) == 47
    assert f"{PAPER.area_cm2:.4f}" == "0.7854"
    assert f"{PAPER.mass_mg('composite'):.3f} {PAPER.mass_mg('Li2S'):.3f}" == "4.800 2.435"


def test_theoretical_capacities() -> None:
    """Per gram: Li2S 1166.5, S 1672, the 3:1 composite 591.9 mAh."""
    assert PAPER.theoretical_mAh_per_g("Li2S") == pytest.approx(1166.5, abs=0.2)
    assert PAPER.theoretical_mAh_per_g("S") == pytest.approx(1672.0, abs=0.5)
    assert PAPER.theoretical_mAh_per_g("composite") == pytest.approx(591.9, abs=0.2)


def test_more_than_a_gram_holds_is_refused() -> None:
    """600 mAh for each gram of composite cannot be, and neither can 1200 for each gram of Li2S."""
    for target, basis in ((600.0, "composite"), (1200.0, "Li2S"), (0.0, "Li2S"), (math.nan, "Li2S")):
        with pytest.raises(InputError, match=basis):
            PAPER.charge_Ah(target, basis)


@pytest.mark.parametrize("basis", ["", "LPSC", "li2s", "carbon"])
def test_a_basis_that_is_not_there_is_refused(basis: str) -> None:
    """Only what is in the electrode and named exactly is a basis; the message lists them."""
    with pytest.raises(InputError, match="composite, Li2S, LiI, S"):
        PAPER.mass_mg(basis)


@given(
    st.floats(0.1, 100.0),
    st.floats(0.1, 10.0),
    st.floats(0.1, 10.0),
    st.floats(0.1, 10.0),
    st.floats(1.0, 20.0),
    st.sampled_from(["Li2S", "composite", "mixture", "S"]),
    st.floats(0.01, 0.99),
)
def test_the_same_charge_on_every_basis(
    mixture_mg: float, active: float, rest: float, salt: float, diameter_mm: float, basis: str, share: float
) -> None:
    """A share of the theoretical capacity is the same charge, whatever gram it is reckoned with."""
    electrode = Electrode(
        mixture_mg=mixture_mg,
        mixture_by_mass={"composite": active, "rest": rest},
        composite_by_mole={"Li2S": 1.0, "LiI": salt},
        diameter_mm=diameter_mm,
    )
    charge_Ah = electrode.charge_Ah(share * electrode.theoretical_mAh_per_g(basis), basis)
    assert charge_Ah == pytest.approx(share * electrode.theoretical_mAh() / 1000.0)
    assert electrode.mass_mg("Li2S") + electrode.mass_mg("LiI") == pytest.approx(electrode.mass_mg("composite"))


def test_what_takes_no_part_has_no_capacity() -> None:
    """A salt that does not react is told so."""
    with pytest.raises(InputError, match="LiI"):
        specific_capacity_mAh_per_g("LiI")
