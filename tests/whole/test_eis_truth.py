"""Truth in, truth out for impedance: sample file, simulated SDK, driver, files, analysis; only the oven is skipped.

A thermostat that is simply right stands in for the oven, so that what is left is the noise of the potentiostat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from labctl.analysis.campaign import analyze_paths
from labctl.clock import VirtualClock
from labctl.ports import LoopState, Progress, Reading
from labctl_autolab import open_driver
from labctl_sim_autolab import open_simulator
from labctl_sim_sample import EisSample, load_sample
from tests.drivers.autolab.bench import SAMPLES, SETTINGS, START_S, grid_Hz, order_of, sweep_task

FloatArray = NDArray[np.float64]
POINTS = 21
TEMPERATURES_C = (25.0, 85.0, 145.0)


@dataclass
class Thermostat:
    """A `TemperatureController` whose oven is always where it should be."""

    clock: VirtualClock
    temperature_K: float
    station: str = "autolab"

    def open(self) -> None: ...
    def close(self) -> None: ...
    def hold(self) -> None: ...
    def heater_off(self) -> None: ...

    def read(self) -> tuple[Reading, ...]:
        """The one true temperature."""
        return (Reading(quantity="sensor_K", value=self.temperature_K, at_s=self.clock.now_s()),)

    def loop(self) -> LoopState:
        """Nothing regulates."""
        return LoopState(heating_allowed=False, setpoint_K=self.temperature_K, ramping=False)

    def ramp_to(self, setpoint_K: float, ramp_K_per_s: float) -> None: ...

    def at_setpoint(self, setpoint_K: float) -> bool:
        """Always."""
        return True

    def health(self) -> tuple[str, ...]:
        """Well."""
        return ()


@lru_cache
def pellet_of(sample: str) -> EisSample:
    """Return what the sample file says."""
    return load_sample(SAMPLES / f"{sample}.yaml").eis


def spectra(folder: Path, sample: str, temperatures_K: tuple[float, ...], seed: int) -> Path:
    """Measure one ladder and return the folder of its spectra."""
    pellet = pellet_of(sample).truth
    for number, T_K in enumerate(temperatures_K):
        clock = VirtualClock(START_S)
        settings = {**SETTINGS, "simulator": {"temperature": f"{T_K!r} K"}}
        simulator = open_simulator(
            station="autolab",
            state_dir=folder / f"lab{number}",
            clock=clock,
            seed=1000 * seed + number,
            sample=SAMPLES / f"{sample}.yaml",
            settings=settings,
        )
        clock.add_source(simulator.next_event_s)
        driver = open_driver(
            station="autolab",
            settings=settings,
            limits={},
            clock=clock,
            link=simulator.link(),
            oven=Thermostat(clock, T_K),
        )
        driver.open(1)
        task = sweep_task(
            frequencies_Hz=grid_Hz(POINTS),
            setpoint_K=T_K,
            sample=sample,
            thickness_mm=10.0 * pellet.thickness_cm,
            diameter_mm=10.0 * pellet.diameter_cm,
        )
        order = order_of(task, token=f"{number:08x}-1")
        driver.begin(order)
        while (seen := driver.look(order)).progress is Progress.RUNNING:
            clock.wait_until(clock.monotonic_s() + (seen.look_again_s or 0.0))
        assert seen.progress is Progress.DONE, seen
        driver.collect(order, folder / "spectra")
    return folder / "spectra"


def deviations(tmp_path: Path, sample: str, seeds: range) -> FloatArray:
    """Return (Ea, sigma at 25 degC) minus the truth over their standard errors, shape (seeds, 2)."""
    truth = pellet_of(sample).truth.conductivity_S_per_cm
    temperatures_K = tuple(one + 273.15 for one in TEMPERATURES_C)
    found = []
    for seed in seeds:
        results = analyze_paths([spectra(tmp_path / f"{sample}{seed}", sample, temperatures_K, seed)])
        line = next(one for one in results.eis.arrhenius if one.convention == "ln sigma")
        assert line.sigma_25C_S_per_cm is not None
        assert line.sigma_25C_se_S_per_cm is not None
        found.append(
            (
                (line.Ea_eV - truth.Ea_eV) / line.Ea_se_eV,
                (line.sigma_25C_S_per_cm - truth.value) / line.sigma_25C_se_S_per_cm,
            )
        )
    return np.array(found)


@pytest.mark.parametrize("sample", ["lii_pellet", "li2s_lii_pellet"])
def test_energies_and_conductivities_scatter_as_their_errors_say(tmp_path: Path, sample: str) -> None:
    """Over 40 seeds the deviations from the sample file, in standard errors, have an rms between 0.7 and 1.35."""
    z = deviations(tmp_path, sample, range(40))
    rms = np.sqrt((z**2).mean(axis=0))
    assert (rms > 0.7).all(), rms
    assert (rms < 1.35).all(), rms


@pytest.mark.slow
@pytest.mark.parametrize("sample", ["lii_pellet", "li2s_lii_pellet"])
def test_nominal_intervals_cover(tmp_path: Path, sample: str) -> None:
    """Over 400 seeds the nominal 95 % intervals hold the truth in 92 to 98 of a hundred."""
    z = deviations(tmp_path, sample, range(400))
    inside = (np.abs(z) < 1.96).mean(axis=0)
    assert (inside >= 0.92).all(), inside
    assert (inside <= 0.98).all(), inside


def test_a_current_in_the_noise_is_not_resolved(tmp_path: Path) -> None:
    """Li2S at 25 degC under 3 pA gives no resistance but a bound that holds, in nine of ten seeds or more."""
    truth = pellet_of("li2s_pellet")
    told, held = [], []
    for seed in range(10):
        results = analyze_paths([spectra(tmp_path / str(seed), "li2s_pellet", (298.15,), seed)])
        [spectrum] = results.eis.spectra
        told.append(spectrum.resolved)
        assert spectrum.G_S is not None
        assert spectrum.G_se_S is not None
        assert abs(spectrum.G_S - 1.0 / truth.resistance_ohm(298.15)) < 4.0 * spectrum.G_se_S
        if not spectrum.resolved:
            assert spectrum.R_ohm is None
            assert spectrum.sigma_S_per_cm is None
            assert spectrum.sigma_upper_S_per_cm is not None
            held.append(spectrum.sigma_upper_S_per_cm >= truth.sigma_S_per_cm(298.15))
            assert any("not resolved" in text for text in spectrum.warnings)
    assert sum(told) <= 1
    assert sum(held) >= len(held) - 1
