"""2D processing and amplitude estimates, timed beside the plain nmrglue chain on the same data in the same run.

``pytest tests/benchmarks --benchmark-enable`` prints the table; without it every case runs once, untimed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.analysis.nmr.spectrum import Spectrum2D, spectrum_2d
from labctl.formats.bruker_dataset import BrukerDataset, IndirectAxis

MHZ, WIDTH, DELAY, INCREMENT, PHASE = 73.578, 10_000.0, 68, 0.8e-3, 0.4
BROADENING = (10.0, 5.0)
SITES = {"Li2S": 2.31, "LPSC": 1.29, "LiI": -4.56}


@pytest.fixture(scope="module")
def dataset() -> BrukerDataset:
    """Return 320 rows of 2048 complex points, three exchanging lines."""
    offset = MHZ * np.array(list(SITES.values()))
    width = np.array([30.0, 15.0, 40.0])
    amplitudes = 1000.0 * np.array([[0.38, 0.06, 0.02], [0.06, 0.37, 0.015], [0.02, 0.015, 0.05]])
    t2 = (np.arange(2048) - DELAY)[:, None] / WIDTH
    f2 = np.where(t2 >= 0, np.exp(2j * np.pi * offset * t2 - np.pi * width * np.maximum(t2, 0) + 1j * PHASE), 0)
    pair = np.arange(320) // 2
    t1 = INCREMENT * (0.5 + pair)[:, None]
    angle = 2 * np.pi * offset * t1
    f1 = np.where(np.arange(320)[:, None] % 2, np.sin(angle), np.cos(angle)) * np.exp(-np.pi * width * t1)
    data = (f1 * ((-1.0) ** pair)[:, None]) @ amplitudes @ f2.T
    rng = np.random.default_rng(1)
    data[:, DELAY:] += 0.01 * (rng.normal(size=(320, 1980)) + 1j * rng.normal(size=(320, 1980)))
    return BrukerDataset(
        path=Path("made-up"),
        dimension="2D",
        kind="exsy",
        data=data,
        rows_asked=320,
        rows_acquired=320,
        ending="complete",
        nucleus="6Li",
        larmor_MHz=MHZ,
        reference_MHz=MHZ,
        spectral_width_Hz=WIDTH,
        group_delay_points=float(DELAY),
        scans=1,
        mixing_time_s=1.0,
        recycle_delay_s=50.0,
        pulse_s=4.9e-6,
        indirect=IndirectAxis(
            quadrature="States-TPPI",
            increment_s=INCREMENT,
            start_s=INCREMENT / 2,
            spectral_width_Hz=1 / INCREMENT,
            larmor_MHz=MHZ,
            carrier_ppm=0.0,
            nucleus="6Li",
        ),
        delays_s=None,
        pulses_s=None,
        spinning_Hz=10_000.0,
        sensor_K=293.15,
        receiver_gain=1.0,
        pulse_program="noesyph",
        title="",
        started_s=None,
        ended_s=None,
        audit=None,
    )


@pytest.fixture(scope="module")
def lines(dataset: BrukerDataset) -> LineSet:
    """Return the lines of the data, with the phase they were made with."""
    found = refine_lines([dataset], sites=SITES)
    return replace(
        found, shape=replace(found.shape, phase_rad=PHASE, t2_origin_s=0.0, t1_phase_rad=0.0, t1_origin_s=0.0)
    )


def _nmrglue_chain(dataset: BrukerDataset) -> Any:
    """Process as a plain script would, one step and one dimension after the other."""
    bruker = pytest.importorskip("nmrglue.fileio.bruker")
    proc = pytest.importorskip("nmrglue.process.proc_base")
    x = bruker.remove_digital_filter({"acqus": {"DECIM": 2000, "DSPFVS": 20, "GRPDLY": float(DELAY)}}, dataset.data)
    x = proc.em(x, lb=BROADENING[0] / WIDTH)
    x = proc.di(proc.ps(proc.fft(proc.zf_size(x, 4096)), p0=-np.degrees(PHASE)))
    x = x * ((-1.0) ** (np.arange(320) // 2))[:, None]
    x = proc.c2ri(proc.tp(x))
    x = proc.em(x, lb=BROADENING[1] * INCREMENT)
    x = proc.di(proc.ps(proc.fft(proc.zf_size(x, 640)), p0=90.0, p1=-180.0))
    return proc.tp(x)[::-1, ::-1]


def _ours(dataset: BrukerDataset, lines: LineSet, window_ppm: tuple[float, float] | None = None) -> Spectrum2D:
    return spectrum_2d(dataset, lines=lines, broadening_Hz=BROADENING, window_ppm=window_ppm)


def test_both_give_the_same_spectrum(dataset: BrukerDataset, lines: LineSet) -> None:
    """The fused transform agrees with the plain chain to 1e-5 of the highest point, cropped and whole."""
    plain = _nmrglue_chain(dataset)
    whole = _ours(dataset, lines, window_ppm=(-1e4, 1e4))
    cropped = _ours(dataset, lines)
    first = int(np.flatnonzero(whole.f2_ppm == cropped.f2_ppm[0])[0])

    assert np.abs(plain - whole.intensity).max() < 1e-5 * plain.max()
    np.testing.assert_allclose(
        cropped.intensity, whole.intensity[:, first : first + cropped.f2_ppm.size], atol=1e-5 * plain.max()
    )


@pytest.mark.benchmark(group="2D 320 x 2048 complex to 640 x 4096")
def test_plain_chain(benchmark: Any, dataset: BrukerDataset) -> None:
    """The plain nmrglue chain, for the ratio."""
    benchmark(_nmrglue_chain, dataset)


@pytest.mark.benchmark(group="2D 320 x 2048 complex to 640 x 4096")
def test_fused_whole(benchmark: Any, dataset: BrukerDataset, lines: LineSet) -> None:
    """The fused transform of every column."""
    benchmark(_ours, dataset, lines, (-1e4, 1e4))


@pytest.mark.benchmark(group="2D 320 x 2048 complex to 640 x 4096")
def test_fused_window(benchmark: Any, dataset: BrukerDataset, lines: LineSet) -> None:
    """The fused transform of the columns that F1 can hold, as labctl draws it."""
    benchmark(_ours, dataset, lines)


@pytest.mark.benchmark(group="amplitude matrix of one 2D 320 x 2048")
def test_amplitude_matrix(benchmark: Any, dataset: BrukerDataset, lines: LineSet) -> None:
    """One matrix with covariance on known lines."""
    matrix = benchmark(estimate_amplitudes, dataset, lines)
    assert matrix.A.shape == (3, 3)
