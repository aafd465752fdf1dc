"""Circuit fits and linear Kramers-Kronig by impedance.py, where it is installed: problem in, answers out (JSON).

Run by ``tests/benchmarks/test_eis.py``. Its linKK needs numpy below 2.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
from impedance.models.circuits import CustomCircuit  # type: ignore[import-not-found]  # in the peer's own environment
from impedance.validation import linKK  # type: ignore[import-not-found]  # in the peer's own environment

CIRCUIT = "R0-p(R1,CPE1)-p(R2,CPE2)"


def main() -> None:
    """Answer one problem."""
    warnings.simplefilter("ignore")
    problem = json.load(sys.stdin)
    f = np.array(problem["frequency_Hz"])
    spectra = [np.array(one[0]) + 1j * np.array(one[1]) for one in problem["Z_ohm"]]
    R0, R1, Q1, n1, R2, Q2, n2 = problem["guess"]
    guess = [R0, R1, Q1, n1, R2, Q2, n2]

    def fitted(Z: np.ndarray[Any, Any], *, weighted: bool) -> np.ndarray[Any, Any]:
        one = CustomCircuit(CIRCUIT, initial_guess=guess)
        one.fit(f, Z, weight_by_modulus=weighted)
        return np.asarray(one.predict(f))

    answer: dict[str, dict[str, Any]] = {}
    for name, weighted in (("default", False), ("weight_by_modulus", True)):
        times, Z = [], spectra[0]
        for _ in range(5):
            begun = time.process_time()
            Z = fitted(spectra[0], weighted=weighted)
            times.append(time.process_time() - begun)
        answer[name] = {"seconds": float(np.median(times)), "re": Z.real.tolist(), "im": Z.imag.tolist()}
    begun = time.process_time()
    for one in spectra:
        fitted(one, weighted=True)
    answer["all"] = {"seconds": time.process_time() - begun}
    times = []
    for _ in range(5):
        begun = time.process_time()
        terms, mu, *_ = linKK(f, spectra[0], c=0.85, max_M=60, fit_type="complex", add_cap=True)
        times.append(time.process_time() - begun)
    answer["kk"] = {"seconds": float(np.median(times)), "terms": int(terms), "mu": float(mu)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
