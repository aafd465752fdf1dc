"""Circuit fits and Kramers-Kronig by pyimpspec, where it is installed: problem in, answers out (JSON).

Run by ``tests/benchmarks/test_eis.py``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import pyimpspec  # type: ignore[import-not-found]  # in the peer's own environment


def main() -> None:
    """Answer one problem."""
    warnings.simplefilter("ignore")
    problem = json.load(sys.stdin)
    f = np.array(problem["frequency_Hz"])
    spectra = [np.array(one[0]) + 1j * np.array(one[1]) for one in problem["Z_ohm"]]
    R0, R1, Q1, n1, R2, Q2, n2 = problem["guess"]
    cdc = f"R{{R={R0}}}(R{{R={R1}}}Q{{Y={Q1},n={n1}}})(R{{R={R2}}}Q{{Y={Q2},n={n2}}})"

    def fitted(Z: np.ndarray[Any, Any], method: str) -> np.ndarray[Any, Any]:
        data = pyimpspec.DataSet(frequencies=f, impedances=Z)
        found = pyimpspec.fit_circuit(pyimpspec.parse_cdc(cdc), data, method=method, weight="modulus", num_procs=1)
        return np.asarray(found.circuit.get_impedances(f))

    answer: dict[str, dict[str, Any]] = {}
    for method in ("leastsq", "least_squares"):
        times, Z = [], spectra[0]
        for _ in range(3):
            begun = time.process_time()
            Z = fitted(spectra[0], method)
            times.append(time.process_time() - begun)
        answer[method] = {"seconds": float(np.median(times)), "re": Z.real.tolist(), "im": Z.imag.tolist()}
    begun = time.process_time()
    for one in spectra:
        fitted(one, "least_squares")
    answer["all"] = {"seconds": time.process_time() - begun}
    begun = time.process_time()
    data = pyimpspec.DataSet(frequencies=f, impedances=spectra[0])
    test = pyimpspec.perform_kramers_kronig_test(data, test="complex", num_procs=1)
    answer["kk"] = {"seconds": time.process_time() - begun, "terms": int(test.num_RC)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
