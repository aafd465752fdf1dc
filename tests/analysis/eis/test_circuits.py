"""Circuits against plain equations, their derivatives against differences, and text that is no circuit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.analysis.eis.circuits import circuit
from labctl.errors import InputError

TEXTS = ["(RQ)", "RQ", "(RQ)Q", "R(RQ)Q", "(RQ)(RQ)Q", "LR(RQ)(RQ)", "R(RQ)(RQ)(RQ)"]
LOG_OMEGA = np.log(2 * np.pi * np.geomspace(1e6, 0.1, 23))[None]
LOG_0 = LOG_OMEGA.min(axis=1, keepdims=True)


@st.composite
def parameters(draw: st.DrawFn, text: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Draw walking coordinates of a circuit: R from 1 ohm to 10 gigaohm, tau inside a wide window."""
    values: list[float] = []
    for one in circuit(text).elements:
        if one.kind == "L":
            values.append(draw(st.floats(-18, -5)))
            continue
        values.append(draw(st.floats(0, 23)))
        if one.kind == "RQ":
            values.append(draw(st.floats(-16, 2)))
        if one.kind in {"Q", "RQ"}:
            values.append(draw(st.floats(0.3, 1)))
    return np.array(values)


@pytest.mark.parametrize("text", TEXTS)
@given(data=st.data())
def test_impedance_is_the_plain_sum(text: str, data: st.DataObject) -> None:
    """Elements in series add, each as its textbook equation has it."""
    theta = data.draw(parameters(text))
    s = 1j * np.exp(LOG_OMEGA[0])
    expected = np.zeros(s.size, dtype=complex)
    for one in circuit(text).elements:
        first = np.exp(theta[one.at])
        if one.kind == "R":
            expected += first
        elif one.kind == "L":
            expected += first * s
        elif one.kind == "Q":
            n = theta[one.at + 1]
            expected += 1 / (np.exp(-n * LOG_0[0, 0]) / first * s**n)
        else:
            tau, n = np.exp(theta[one.at + 1]), theta[one.at + 2]
            expected += 1 / (1 / first + (tau**n / first) * s**n)
    Z, _ = circuit(text).derivatives(theta[None], LOG_OMEGA, LOG_0)
    assert np.abs(Z[0] / expected - 1).max() < 1e-10


@pytest.mark.parametrize("text", TEXTS)
@given(data=st.data())
def test_derivatives_are_those_of_differences(text: str, data: st.DataObject) -> None:
    """Each derivative by a walking coordinate agrees with a central difference."""
    theta = data.draw(parameters(text))
    one = circuit(text)
    Z, dZ = one.derivatives(theta[None], LOG_OMEGA, LOG_0)
    for at in range(one.size):
        step = np.zeros(one.size)
        step[at] = 1e-5
        high, _ = one.derivatives((theta + step)[None], LOG_OMEGA, LOG_0)
        low, _ = one.derivatives((theta - step)[None], LOG_OMEGA, LOG_0)
        assert np.abs((high - low)[0] / 2e-5 - dZ[0, at]).max() < 1e-5 * np.abs(Z[0]).max()


@pytest.mark.parametrize("text", ["", "X", "RR", "(RQ", "QQ", "R(RC)", "(RQ)Q!"])
def test_other_text_is_refused(text: str) -> None:
    """What is no series of R, Q, L and (RQ) raises, naming it."""
    with pytest.raises(InputError, match="circuit"):
        circuit(text)
