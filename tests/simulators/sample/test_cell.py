"""The cell that a simulated cycler finds in its holder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_sim_sample import CellSample, CellState, load_sample

SAMPLE = Path(__file__).resolve().parents[3] / "protocols" / "samples" / "in_li_lpsc_li2s.yaml"
CELL = load_sample(SAMPLE).cell
J_A = 0.033e-3 * CELL.area_cm2  # current of the paper's activation, 0.033 mA/cm^2


def test_the_plateau_stands_where_the_paper_saw_it() -> None:
    """At 0.033 mA/cm^2 the charge stands at 1.69 to 1.70 V, 100 mV above equilibrium."""
    halfway = CELL.later(CELL.fresh(), J_A, 0.5 * CELL.limit_Ah / J_A * 3600.0)
    assert CELL.voltage_V(halfway, J_A) == pytest.approx(1.69, abs=0.01)
    assert CELL.voltage_V(halfway, J_A) - CELL.truth.equilibrium_V == pytest.approx(0.1, abs=0.01)


def test_a_gram_of_lithium_sulfide_takes_600_mAh_before_the_voltage_rises() -> None:
    """The most the paper charges fits into the cell; its theoretical capacity does not."""
    assert 0.6 * CELL.truth.active_g < CELL.limit_Ah < CELL.theory_Ah
    full = CELL.later(CELL.fresh(), J_A, CELL.theory_Ah / J_A * 3600.0)
    assert CELL.voltage_V(full, J_A) > 3.0


@given(st.floats(0.0, 1.0), st.floats(1.0, 1e5), st.floats(-3e-4, 3e-4))
def test_time_can_be_cut_anywhere(share: float, seconds: float, current_A: float) -> None:
    """Two stretches of a constant current lead where one of their length does."""
    once = CELL.later(CELL.fresh(), current_A, seconds)
    twice = CELL.later(CELL.later(CELL.fresh(), current_A, share * seconds), current_A, (1.0 - share) * seconds)
    assert twice.charge_Ah == pytest.approx(once.charge_Ah, abs=1e-12)
    assert twice.slow_V == pytest.approx(once.slow_V, abs=1e-9)


@given(st.floats(0.0, 1.5e-3), st.floats(-3e-4, 3e-4), st.floats(0.0, 1e5), st.sampled_from([None, 50.0]))
def test_a_course_is_the_voltage_of_later_states(
    charge_Ah: float, current_A: float, after_s: float, short_ohm: float | None
) -> None:
    """The voltage as a function of time is to the last bit that of the state at that time."""
    state = CellState(charge_Ah=charge_Ah, slow_V=0.01, turns=7, short_ohm=short_ohm, worsened=1.5)
    later = CELL.later(state, current_A, after_s)
    assert CELL.course(state, current_A)(after_s) == CELL.voltage_V(later, current_A)


@given(st.floats(-2e-4, 2e-4), st.floats(1e-4, 2e-3))
def test_the_current_that_holds_a_voltage_gives_that_voltage(current_A: float, charge_Ah: float) -> None:
    """Voltage of a current and current of a voltage are each other's inverse."""
    state = CELL.later(CELL.fresh(), 1e-4, charge_Ah / 1e-4 * 3600.0)
    volts = CELL.voltage_V(state, current_A)
    assert CELL.current_A(state, volts, 1e-3) == pytest.approx(current_A, abs=1e-9)


def test_of_each_charge_the_loss_does_not_come_back() -> None:
    """What a charge leaves to discharge is less by the coulombic loss, and a discharge takes all it carries."""
    charged = CELL.later(CELL.fresh(), 1e-4, 3600.0)
    gained = charged.charge_Ah - CELL.fresh().charge_Ah
    assert gained == pytest.approx((1.0 - CELL.truth.coulombic_loss) * 1e-4)
    assert CELL.later(charged, -1e-4, 1800.0).charge_Ah == pytest.approx(charged.charge_Ah - 5e-5)


def test_a_shorted_cell_is_a_resistor() -> None:
    """However long one charges it, the voltage is current times resistance."""
    shorted = CellSample(dataclasses.replace(CELL.truth, shorted_ohm=50.0))
    after = shorted.later(shorted.fresh(), 1e-4, 1e5)
    assert shorted.voltage_V(after, 1e-4) == pytest.approx(5e-3)
