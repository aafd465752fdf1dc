"""What a spectrum says against itself: a contact that is lost in mid-sweep is no property of any cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labctl_autolab._judge import bridge_ohm, contact_lost_Hz
from labctl_autolab._record import Point, Rig
from tests.drivers.autolab.bench import Bench, grid_Hz, order_of, sweep_task

RIG = Rig(instrument="x", current_noise_A=3e-12, gain_noise=2e-3)
GRID_HZ = np.array(grid_Hz(51))
arcs = st.lists(
    st.tuples(st.floats(1.0, 10.0), st.floats(-13.0, -5.0), st.floats(0.4, 1.0)), min_size=1, max_size=3
)  # log R, log Q, n


def admittance(arcs: list[tuple[float, float, float]], stray_pF: float) -> NDArray[np.complex128]:
    """Arcs in series with a blocking electrode and a lead of 1 uH, the holder's capacitance parallel to all."""
    jw = 2j * np.pi * GRID_HZ
    Z = sum(1.0 / (10.0**-log_R + 10.0**log_Q * jw**n) for log_R, log_Q, n in arcs) + 1.0 / (1e-6 * jw**0.9) + 1e-6 * jw
    return np.asarray(1.0 / Z + jw * stray_pF * 1e-12, dtype=np.complex128)


def measured(Y: NDArray[np.complex128], *, upwards: bool = False, seed: int = 0) -> list[Point]:
    """These admittances with gain and current noise, as points in order of measurement."""
    noise = np.random.default_rng(seed).standard_normal((4, len(Y)))
    Y = Y * (1.0 + 2e-3 * (noise[0] + 1j * noise[1])) + 3e-12 / 5e-3 * (noise[2] + 1j * noise[3])
    found = [
        Point(frequency_Hz=float(f_Hz), Z_real_ohm=Z.real, Z_imag_ohm=Z.imag, at_s=0.0)
        for f_Hz, Z in zip(GRID_HZ, 1.0 / Y, strict=True)
    ]
    return found[::-1] if upwards else found


@given(arcs, st.floats(0.0, 200.0), st.booleans(), st.integers(0, 99))
def test_no_cell_has_a_lost_contact(
    arcs: list[tuple[float, float, float]], stray_pF: float, upwards: bool, seed: int
) -> None:
    """Whatever arcs a cell has, upwards or downwards, noise and all, it keeps within the bound."""
    points = measured(admittance(arcs, stray_pF), upwards=upwards, seed=seed)
    assert contact_lost_Hz(points, sweep_task(), RIG) is None


@given(arcs, st.integers(2, 49), st.booleans(), st.floats(20.0, 1e4))
def test_a_lost_contact_is_found_where_it_was_lost(
    arcs: list[tuple[float, float, float]], at: int, upwards: bool, factor: float
) -> None:
    """From one point to the next the current is a small part of what it was, or comes back: found, at that point."""
    Y = admittance(arcs, 20.0) + 1e-6  # well above the noise
    for lost in (slice(at, None), slice(None, at)):
        broken = Y.copy()
        broken[lost] /= factor
        points = measured(broken, upwards=upwards)
        expected = GRID_HZ[at - 1 if upwards else at]
        assert contact_lost_Hz(points, sweep_task(), RIG) == pytest.approx(expected)


@given(st.integers(0, 50), st.floats(0.01, 100.0))
def test_one_odd_point_is_no_lost_contact(at: int, factor: float) -> None:
    """A single point with the mains in it, or an overload, condemns no spectrum."""
    Y = admittance([(6.0, -11.0, 1.0)], 20.0)
    Y[at] *= factor
    assert contact_lost_Hz(measured(Y), sweep_task(), RIG) is None


def test_a_bridged_pellet_is_told_and_does_not_count(tmp_path: Path) -> None:
    """Less than the lab says a pellet can have, at every frequency: a short circuit, and no spectrum."""
    bench = Bench(tmp_path, short_below="100 ohm", faults="  - {fault: short_cell, at: 0 s, by: 10 ohm}\n")
    bench.open()
    order = order_of(sweep_task(frequencies_Hz=grid_Hz(3)))
    assert "cannot be used: short circuit" in bench.carry_out(order).detail
    assert bench.driver.collect(order, tmp_path / "run").completeness == "failed"


@given(arcs, st.floats(0.0, 200.0), st.integers(0, 99))
def test_no_pellet_between_blocking_electrodes_is_a_bridge(
    arcs: list[tuple[float, float, float]], stray_pF: float, seed: int
) -> None:
    """Its arc or its electrodes show, from 100 kHz to 1 Hz, whatever it is made of."""
    assert bridge_ohm(measured(admittance(arcs, stray_pF), seed=seed)) is None


@given(st.floats(0.1, 1e4), st.floats(0.0, 1e-6), st.integers(0, 99))
def test_a_resistor_is_a_bridge(bridge: float, lead_H: float, seed: int) -> None:
    """Beside a pellet of a megaohm, through leads of up to 1 uH, a resistor is found as what it has."""
    pellet = admittance([(6.0, -11.0, 1.0)], 20.0)
    Y = 1.0 / (1.0 / (pellet + 1.0 / bridge) + 2j * np.pi * GRID_HZ * lead_H)
    points = measured(Y, seed=seed)
    arc = 2.0 * np.pi * GRID_HZ[0] * 30e-12 * bridge  # of the holder's capacitance, at the highest frequency
    if arc < 0.03:
        assert bridge_ohm(points) == pytest.approx(bridge, rel=0.05)


@pytest.mark.parametrize(
    ("setting", "remarked", "completeness"),
    [("flag", True, "complete"), ("fail", True, "failed"), ("ignore", False, "complete")],
)
def test_what_becomes_of_a_bridged_pellet_is_the_labs_choice(
    setting: str, remarked: bool, completeness: str, tmp_path: Path
) -> None:
    """10 ohm pass `short_below`; unless the lab file says that electrodes do not block, people are told."""
    bench = Bench(tmp_path, bridged=setting, faults="  - {fault: short_cell, at: 0 s, by: 10 ohm}\n")
    bench.open()
    order = order_of(sweep_task())
    bench.carry_out(order)
    collected = bench.driver.collect(order, tmp_path / "run")
    assert collected.completeness == completeness
    assert any("bridged?" in remark for remark in collected.remarks) is remarked


@pytest.mark.parametrize(("fault", "by"), [("open_cell", ""), ("short_cell", ", by: 10 ohm")])
def test_a_contact_that_changes_at_the_last_point_is_told(fault: str, by: str, tmp_path: Path) -> None:
    """One point cannot be seen to last, but what no disturbance makes is a contact's."""
    bench = Bench(tmp_path, faults=f"  - {{fault: {fault}, during: {{title: T01, after: 16 s}}{by}}}\n")
    bench.open()
    order = order_of(sweep_task(frequencies_Hz=(*grid_Hz(5), 0.1)))
    assert "a contact was lost or came back at 0.1 Hz" in bench.carry_out(order).detail


def test_a_lead_that_falls_off_in_mid_sweep_is_told_and_does_not_count(tmp_path: Path) -> None:
    """Every call succeeds and half of the points are a pellet's: the spectrum is failed, and says where and why."""
    bench = Bench(tmp_path, faults="  - {fault: open_cell, during: {title: T01, after: 25 s}}\n")
    bench.open()
    order = order_of(sweep_task(frequencies_Hz=grid_Hz(31)))
    assert "cannot be used: a contact was lost" in bench.carry_out(order).detail
    collected = bench.driver.collect(order, tmp_path / "run")
    assert collected.completeness == "failed"
    assert any("a contact was lost" in remark for remark in collected.remarks)
    assert not any("open cell" in remark for remark in collected.remarks)
