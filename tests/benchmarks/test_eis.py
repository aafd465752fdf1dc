"""Impedance fits and the Kramers-Kronig test, and what the same spectra cost with other programs in the same run.

``pytest tests/benchmarks/test_eis.py --benchmark-enable`` times ours. With ``LABCTL_PEERS=<folder>`` impedance.py and
pyimpspec are run too, each in a virtual environment of its own below that folder (made if it is not there), and a table
with ratios is printed. It counts processor time, each program on one core: what a busy machine takes away counts for
nobody.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from labctl.analysis.eis.circuits import circuit
from labctl.analysis.eis.fitting import CircuitFit, Sweep, fit_circuit
from labctl.analysis.eis.kramers_kronig import kramers_kronig
from tests.analysis.eis.pellets import textbook

HERE = Path(__file__).parent
R_RQ_RQ = circuit("R(RQ)(RQ)")
TRUTH = (50.0, 2e3, 1e-9, 0.92, 8e3, 5e-7, 0.85)
GUESS = (100.0, 5e3, 2e-9, 0.85, 4e3, 1e-6, 0.9)
PEERS = {
    "impedance": ("impedance_py.py", ["impedance==1.7.1", "numpy<2", "pandas<3", "altair"]),
    "pyimpspec": ("pyimpspec_py.py", ["pyimpspec==5.1.3"]),
}


def sweep(seed: int = 0) -> Sweep:
    """Return the textbook spectrum, 61 points."""
    f, Z, _ = textbook(seed)
    return Sweep(frequency_Hz=f, Z_ohm=Z)


def fit(starts: int) -> CircuitFit:
    """Fit it from its own guess."""
    return fit_circuit([sweep()], R_RQ_RQ, representation="impedance", starts=starts)[0]


def fit_hundred() -> list[CircuitFit]:
    """Fit a hundred noisy copies, each from its own guess."""
    return fit_circuit([sweep(seed) for seed in range(100)], R_RQ_RQ, representation="impedance", starts=2)


def best_known(seed: int) -> float:
    """Return the chi2 that scipy reaches from the truth."""
    f, Z, _ = textbook(seed)
    s = 2j * np.pi * f

    def residual(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        R0, R1, Q1, R2, Q2 = np.exp(theta[[0, 1, 2, 4, 5]])
        off = (R0 + R1 / (1 + R1 * Q1 * s ** theta[3]) + R2 / (1 + R2 * Q2 * s ** theta[6]) - Z) / np.abs(Z)
        return np.concatenate([off.real, off.imag])

    start = np.log(TRUTH)
    start[[3, 6]] = TRUTH[3], TRUTH[6]
    return float(2 * least_squares(residual, start, x_scale="jac", xtol=1e-12, ftol=1e-12).cost)


@pytest.mark.benchmark(group="EIS, R-RQ-RQ, 61 points")
def test_one_start(benchmark: Any) -> None:
    """One walk from the spectrum's own guess ends within 1 % of the best chi2 known; the target is 5 ms."""
    assert benchmark(fit, 1).chi2 <= 1.01 * best_known(0)


@pytest.mark.benchmark(group="EIS, R-RQ-RQ, 61 points")
def test_twenty_starts(benchmark: Any) -> None:
    """Twenty walks side by side; the target is 50 ms."""
    assert benchmark(fit, 20).chi2 <= 1.01 * best_known(0)


@pytest.mark.benchmark(group="EIS, R-RQ-RQ, 61 points")
def test_a_hundred_spectra(benchmark: Any) -> None:
    """A hundred spectra, every one within 1 % of its best chi2; the target is 0.5 s."""
    for seed, one in enumerate(benchmark(fit_hundred)):
        if seed % 10 == 0:
            assert one.chi2 <= 1.01 * best_known(seed)


@pytest.mark.benchmark(group="EIS, Kramers-Kronig, 61 points")
def test_kramers_kronig(benchmark: Any) -> None:
    """The linear test; the target is 10 ms."""
    f, Z, _ = textbook()
    assert benchmark(kramers_kronig, f, Z).terms > 5


def _seconds(action: Callable[[], Any], times: int) -> float:
    action()
    taken = []
    for _ in range(times):
        begun = time.process_time()
        action()
        taken.append(time.process_time() - begun)
    return float(np.median(taken))


def _environment(folder: Path, name: str, needs: list[str]) -> Path:
    """Return the interpreter of a peer's own environment, made if it is not there."""
    home = folder / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *needs], check=True)
    return python


def _chi2(answer: dict[str, Any], Z: NDArray[np.complex128]) -> float:
    fitted = np.array(answer["re"]) + 1j * np.array(answer["im"])
    return float(np.sum(np.abs((fitted - Z) / Z) ** 2))


@pytest.mark.skipif("LABCTL_PEERS" not in os.environ, reason="LABCTL_PEERS names no folder for the peers' environments")
def test_against_peers(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours reaches a chi2 no worse than any peer's, from a worse start; times stand side by side."""
    f, Z, _ = textbook()
    everything = [textbook(seed)[1] for seed in range(100)]
    problem = {
        "frequency_Hz": f.tolist(),
        "Z_ohm": [[one.real.tolist(), one.imag.tolist()] for one in everything],
        "guess": GUESS,
    }
    ours = {
        "one start, own guess": (_seconds(lambda: fit(1), 20), fit(1).chi2),
        "20 starts": (_seconds(lambda: fit(20), 10), fit(20).chi2),
        "100 spectra": (_seconds(fit_hundred, 3), None),
        "KK": (_seconds(lambda: kramers_kronig(f, Z), 20), None),
    }
    best = best_known(0)
    single, hundred, kk = (ours[name][0] for name in ("one start, own guess", "100 spectra", "KK"))
    rows = [(f"labctl, {name}", seconds, chi2, 1.0) for name, (seconds, chi2) in ours.items()]
    for name, (script, needs) in PEERS.items():
        python = _environment(Path(os.environ["LABCTL_PEERS"]), name, needs)
        done = subprocess.run(  # what it says when it fails is shown
            [str(python), str(HERE / "peers" / script)],
            input=json.dumps(problem),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        for setting, told in answer.items():
            reference = {"all": hundred, "kk": kk}.get(setting, single)
            chi2 = _chi2(told, Z) if "re" in told else None
            rows.append((f"{name}, {setting}", told["seconds"], chi2, told["seconds"] / reference))
            assert chi2 is None or ours["one start, own guess"][1] is None or fit(1).chi2 <= 1.001 * chi2
    with capsys.disabled():
        print(f"\n{'':34s}{'ms':>10s}{'chi2/best':>12s}{'time/ours':>12s}")
        for name, seconds, chi2, ratio in rows:
            print(f"{name:34s}{1e3 * seconds:10.2f}{'' if chi2 is None else f'{chi2 / best:.4g}':>12s}{ratio:12.1f}")
