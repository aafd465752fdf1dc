"""Layers of diffusion through everything: sample file, console, AU programs, engine, files, global fit.

The simulators solve the diffusion by finite volumes, the analysis by Laplace transforms; the truth stands in sample
files alone, and the protocol states the order and the densities as an author would.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.whole.campaigns import run_without_report

FloatArray = NDArray[np.float64]

SAMPLE = """\
version: 1
name: core and shell
nmr:
  nucleus: 6Li
  reference_temperature: 293.15 K
  sites:
    core: {{shift: 2.0 ppm, width: 20 Hz, inhomogeneous: {inhomogeneous}}}
    shell: {{shift: -2.0 ppm, width: 15 Hz, inhomogeneous: {inhomogeneous}}}
  relaxation:
    core: {{T1: 3 s}}
    shell: {{T1: 3 s}}
  exchange:
    layered:
      geometry: sphere
      layers:
        - {{phase: core, outer: 1, density: 40 1/nm^3, kD: {kD_per_s!r} 1/s, Ea: {Ea_eV!r} eV}}
        - {{phase: shell, outer: 1.3, density: 20 1/nm^3, kD: 3 1/s, Ea: 0.1 eV}}
  probe: {{p90: 4.9 us}}
  noise_per_scan: 0.15
  drift: {{field: 0 Hz/h}}
"""

PROTOCOL = """\
version: 1
campaign: layered
sample: {name: core and shell, nucleus: 6Li, sites: {core: 2.0 ppm, shell: -2.0 ppm}}
procedures:
  - vt_exsy:
      station: nmr500
      temperatures: [293.15 K, 333.15 K, 373.15 K]
      ramp: 5 K/min
      settle: {within: 0.5 K, for: 2 min, give_up: 60 min, shift: none}
      spinning: 10 kHz
      tune: none
      p90: {each_temperature: false}
      reference_1d: {around_each_2d: false}
      recycle_delay: 12 s
      mixing_times: [50 ms, 500 ms, 3 s]
      increments: 24
      increment: 0.8 ms
      scans: 8
      points: 512
      spectral_width: 5000 Hz
      return_to_first_temperature: false
      analysis:
        layers: [core, shell]
        densities: {core: 40 1/nm^3, shell: 20 1/nm^3}
        geometry: sphere
on_fault: {nmr500: safe}
"""


@dataclass(frozen=True)
class Truth:
    """The core's diffusivity at 293.15 K and its activation energy."""

    kD_per_s: float
    Ea_eV: float


def truths(count: int) -> list[Truth]:
    """Return random truths: kD within a factor of four, Ea between 0.08 and 0.20 eV."""
    rng = np.random.default_rng(20210503)
    return [Truth(float(0.01 * 4 ** rng.uniform()), float(rng.uniform(0.08, 0.20))) for _ in range(count)]


def scores(folder: Path, first: int, count: int, *, inhomogeneous: float = 0.0, until_s: float = np.inf) -> FloatArray:
    """Run campaigns and return (Ea - truth) / standard error, then whether the profile's interval holds the truth.

    Stops beginning new ones at `until_s` of `time.monotonic`. Shape (N, 2).
    """
    protocol = folder / "layered.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    lab = Path(__file__).parents[2] / "protocols" / "labs" / "simulated.yaml"
    found = []
    every = truths(first + count)
    batch = 2 * (os.cpu_count() or 1)
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        for begin in range(first, first + count, batch):
            if time.monotonic() > until_s:
                break
            seeds = range(begin, min(begin + batch, first + count))
            commands = []
            for seed in seeds:
                sample = folder / f"sample{seed}.yaml"
                one = every[seed]
                sample.write_text(
                    SAMPLE.format(kD_per_s=one.kD_per_s, Ea_eV=one.Ea_eV, inhomogeneous=inhomogeneous),
                    encoding="utf-8",
                )
                run_dir = str(folder / f"run{seed}")
                where = ["--lab", str(lab), "--simulate", str(sample), "--dir", run_dir, "--seed", str(seed)]
                commands.append(["run", str(protocol), *where])
            assert list(pool.map(run_without_report, commands)) == [0] * len(commands)
            found += [_score(folder / f"run{seed}" / "results.json", every[seed]) for seed in seeds]
    return np.array(found)


def _score(results: Path, truth: Truth) -> list[float]:
    document = json.loads(results.read_text(encoding="utf-8"))
    fit = document["exsy"]["fits"][0]
    assert fit["scope"] == "campaign"
    core = fit["phases"][0]
    assert core["phase"] == "core"
    low, high = core["Ea_ci95_eV"]
    inside = (low is None or low < truth.Ea_eV) and (high is None or truth.Ea_eV < high)
    return [(core["Ea_eV"] - truth.Ea_eV) / core["Ea_se_eV"], float(inside)]


def test_diffusion_comes_back_through_the_whole_chain(tmp_path: Path) -> None:
    """Of two random particles Ea of the core misses by about its standard error; `-m slow` asks many."""
    z = scores(tmp_path, 0, 2)[:, 0]
    assert float(np.sqrt(np.mean(z**2))) < 2.0
    assert np.abs(z).max() < 3.5


@pytest.mark.slow
@pytest.mark.parametrize("inhomogeneous", [0.0, 0.5])
def test_intervals_cover_through_the_whole_chain(tmp_path: Path, inhomogeneous: float) -> None:
    """Over 400 campaigns the nominal 95 % interval of Ea holds the truth 92 to 98 times in a hundred.

    ``LABCTL_COVERAGE_SEEDS`` asks for another number, ``LABCTL_COVERAGE_MINUTES`` ends it early; fewer campaigns are
    held to what so few can tell.
    """
    count = int(os.environ.get("LABCTL_COVERAGE_SEEDS", "400"))
    minutes = float(os.environ.get("LABCTL_COVERAGE_MINUTES", "inf"))
    found = scores(tmp_path, 100, count, inhomogeneous=inhomogeneous, until_s=time.monotonic() + 60 * minutes)
    slack = 0.03 * np.sqrt(max(1.0, 400 / len(found)))
    by_error, by_profile = float(np.mean(np.abs(found[:, 0]) < 1.96)), float(found[:, 1].mean())
    print(f"{len(found)} campaigns: {by_error:.3f} by standard error, {by_profile:.3f} by profile, "
          f"rms z {np.sqrt(np.mean(found[:, 0] ** 2)):.2f}, mean z {found[:, 0].mean():.2f}")  # fmt: skip
    assert abs(by_error - 0.95) < slack
    assert abs(by_profile - 0.95) < slack
