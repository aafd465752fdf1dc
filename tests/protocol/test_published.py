"""What authors state of published numbers: read with unit, digits and limit, refused where it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labctl.protocol.load import load_protocol
from labctl.protocol.published import (
    Claim,
    PublishedConductivity,
    PublishedCycling,
    PublishedExchange,
    figure_order,
    last_place,
)


@given(digits=st.integers(min_value=1, max_value=9999), places=st.integers(0, 6), exponent=st.integers(-12, 6))
def test_the_last_digit_is_the_step(digits: int, places: int, exponent: int) -> None:
    """However a number is spelled, its step is the worth of its last digit."""
    text = f"{digits / 10**places:.{places}f}"
    assert last_place(f"{text} eV", "eV") == pytest.approx(10.0**-places)
    assert last_place(f"{text}e{exponent} S/cm", "S/cm") == pytest.approx(10.0 ** (exponent - places))


@pytest.mark.parametrize(
    ("value", "claim"),
    [
        ("99.6 %", Claim(relation="equal", unit="percent", value=99.6, step=0.1)),
        ("> 97.8 %", Claim(relation="above", unit="percent", value=97.8, step=0.1)),
        ("<5 %", Claim(relation="below", unit="percent", value=5.0, step=1.0)),
        (None, Claim(relation="shown", unit="percent")),
    ],
)
def test_a_number_a_limit_or_a_figure(value: str | None, claim: Claim) -> None:
    """Text becomes a number in the quantity's unit with the step of its digits, or a limit, or neither."""
    told = PublishedCycling.model_validate({"figure": "5e", "what": "coulombic efficiency", "value": value}).claim()
    assert told.step == pytest.approx(claim.step)
    assert (told.relation, told.unit, told.value) == (claim.relation, claim.unit, claim.value)


PEAK = {"figure": "3c", "what": "cross peak", "of": "A-B", "at": "373 K", "mixing_time": "20 s"}
ENERGY = {"figure": "3f", "what": "activation energy", "of": "A-B"}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({**PEAK, "value": "0.1 eV"}, "no value of a published cross peak"),
        ({**ENERGY, "value": "none"}, "no value of a published activation energy"),
        ({**ENERGY, "value": "0.107"}, "has no unit"),
        ({**ENERGY, "value": "0.107 V"}, "not a unit of this kind"),
        ({**ENERGY, "error": "0.01 eV"}, "an error without a value"),
        ({**ENERGY, "value": "0.107 eV", "error": "-0.01 eV"}, "not positive"),
        ({**ENERGY, "of": ""}, "of what the activation energy is"),
        ({"figure": "3c", "what": "cross peak", "value": "none"}, "which cross peak"),
        ({"figure": "3e", "what": "build-up", "value": "1 s"}, "no number to compare"),
        ({**ENERGY, "figure": "Fig. 3"}, "pattern"),
    ],
)
def test_nonsense_is_refused(entry: dict[str, str], told: str) -> None:
    """A value of another kind, a bare number, an error of nothing: refused with what is wrong."""
    with pytest.raises(ValidationError, match=told):
        PublishedExchange.model_validate(entry)


def test_units_are_those_of_the_field() -> None:
    """Conductivity in S/m and in S/cm, overpotential in mV and V come to the same number."""
    per_m, per_cm = (
        PublishedConductivity.model_validate({"figure": "3a", "what": "conductivity", "value": text}).claim()
        for text in ("9.7e-6 S/m", "9.7e-8 S/cm")
    )
    assert per_m.value == pytest.approx(per_cm.value)
    assert per_m.step == pytest.approx(per_cm.step)
    volts = PublishedCycling.model_validate(
        {"figure": "5c", "what": "overpotential", "value": "100 mV", "rounded_to": "50 mV"}
    )
    assert (volts.claim().value, volts.claim().step) == (0.1, 0.05)


def test_figures_stand_in_the_order_of_a_paper() -> None:
    """Numbers before letters, and 10 after 9."""
    wanted = ["1f", "3a", "3b", "3c", "3g-i", "4", "4a", "5a", "10", "10b"]
    assert sorted({*wanted}, key=figure_order) == wanted


def test_the_paper_names_its_figures(protocols: Path) -> None:
    """The campaign of the paper states a number or a figure for every panel that its experiments make."""
    model = load_protocol(protocols / "paper" / "paper.yaml").model
    figures = {one.figure for procedure in model.procedures for one in procedure.wanted.published}
    assert {"1f", "3a", "3c", "3d", "3e", "3f", "3g", "3h", "3i", "4a", "4d-e", "5a", "5b", "5c", "5e"} <= figures
    assert model.published_in
