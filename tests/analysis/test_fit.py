"""The door to least squares where data say nothing of a parameter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.fit import Parameter, Whitener, fit

FloatArray = NDArray[np.float64]
X = np.linspace(0.0, 2.0, 12)


def test_what_the_data_do_not_depend_on_has_an_enormous_error_that_is_a_number() -> None:
    """A parameter without any slope keeps a finite, useless error; nothing overflows, and the others are not hurt."""

    def predict(value: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        return value[0] * np.exp(-X / 0.7), None

    noise = 0.01
    data = predict(np.array([2.0, 1.0]))[0] + noise * np.random.default_rng(3).standard_normal(X.size)
    parameters = [Parameter(name="seen", guess=1.0), Parameter(name="unseen", guess=1.0, lower=1e-6, upper=1e6)]
    found = fit(predict, data, Whitener.of(noise**2 * np.eye(X.size)), parameters)
    assert np.isfinite(found.covariance).all()
    assert found.se[1] > 1e12
    assert found.se[0] < 0.05
    assert abs(found.value[0] - 2.0) < 5 * found.se[0]
    products, covariance = found.derived(lambda value: np.array([value[0] * value[1], value[0]]))
    assert np.isfinite(products).all()
    assert np.isfinite(covariance).all()
    assert np.sqrt(covariance[1, 1]) < 0.05
