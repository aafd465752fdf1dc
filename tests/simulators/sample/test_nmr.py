"""What the coil sees: signs, saturation, sidebands, drift, and the 2D against its defining equation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl_sim_sample import NmrSample, Receiver, load_sample

T_K = 293.15
LARMOR_MHZ = 73.578
DWELL_S = 1e-4

TWO_SITES = """
version: 1
name: two sites
nmr:
  nucleus: 6Li
  sites:
    A: {{shift: 2.0 ppm, width: 20 Hz{line}}}
    B: {{shift: -2.0 ppm, width: 15 Hz{line}}}
  relaxation:
    A: {{T1: 3 s, Ea: 0.05 eV}}
    B: {{T1: 1 s, Ea: 0.05 eV}}
  exchange:
    discrete:
      populations: {{A: 0.6, B: 0.4}}
      rates: [{{from: A, to: B, rate: 0.5 1/s, Ea: 0.15 eV}}]
  probe: {{p90: 5 us{probe}}}
  noise_per_scan: 0.1
  {more}
"""


def sample(folder: Path, *, line: str = "", probe: str = "", more: str = "") -> NmrSample:
    """Return the two-site sample with additions to its lines, its probe and its end."""
    path = folder / "sample.yaml"
    path.write_text(TWO_SITES.format(line=line, probe=probe, more=more), encoding="utf-8")
    return load_sample(path).nmr


def receiver(points: int = 512, *, carrier_ppm: float = 0.0, spinning_Hz: float = 1e4) -> Receiver:
    """Return a receiver with one point per `DWELL_S`."""
    t2_s = np.arange(points) * DWELL_S
    return Receiver(larmor_MHz=LARMOR_MHZ, carrier_ppm=carrier_ppm, t2_s=t2_s, spinning_Hz=spinning_Hz)


def test_a_line_above_the_carrier_turns_with_positive_frequency(tmp_path: Path) -> None:
    """The FFT of the stored FID peaks at (shift - carrier) * Larmor, positive for higher ppm."""
    nmr = sample(tmp_path)
    fid = nmr.one_pulse(T_K=T_K, receiver=receiver(8192, carrier_ppm=1.0), pulse_s=5e-6, recycle_s=1e6)
    axis_Hz = np.fft.fftfreq(fid.size, DWELL_S)
    spectrum = np.abs(np.fft.fft(fid))
    assert axis_Hz[spectrum.argmax()] == pytest.approx((2.0 - 1.0) * LARMOR_MHZ, abs=1.5)
    negative = np.where(axis_Hz < 0.0, spectrum, 0.0)
    assert axis_Hz[negative.argmax()] == pytest.approx((-2.0 - 1.0) * LARMOR_MHZ, abs=1.5)


def test_cosine_plus_i_sine_rows_put_the_diagonal_on_the_diagonal(tmp_path: Path) -> None:
    """With z = cos + i sin each column's strongest peak at short mixing lies at the column's own frequency."""
    nmr = sample(tmp_path)
    t1_s = np.arange(128) * 0.8e-3
    cosine, sine = nmr.exsy(T_K=T_K, receiver=receiver(1024), pulse_s=5e-6, recycle_s=1e6, mixing_s=1e-3, t1_s=t1_s)
    spectrum = np.abs(np.fft.fft2(cosine + 1j * sine))
    f1_Hz, f2_Hz = np.fft.fftfreq(128, 0.8e-3), np.fft.fftfreq(1024, DWELL_S)
    for shift_ppm in (2.0, -2.0):
        column = np.abs(f2_Hz - shift_ppm * LARMOR_MHZ).argmin()
        assert f1_Hz[spectrum[:, column].argmax()] == pytest.approx(shift_ppm * LARMOR_MHZ, abs=8.0)


def test_the_whole_fid_of_recovered_spins_begins_at_one_and_follows_curie(tmp_path: Path) -> None:
    """Amplitude 1 at 293.15 K, 293.15/T elsewhere."""
    nmr = sample(tmp_path)
    for at_K in (T_K, 373.15):
        fid = nmr.one_pulse(T_K=at_K, receiver=receiver(), pulse_s=nmr.p90_s(at_K), recycle_s=1e6)
        assert fid[0] == pytest.approx(293.15 / at_K)


def label_matrix(nmr: NmrSample, t_s: np.ndarray) -> np.ndarray:
    """Return exp(i w t) exp(-pi W t) of each site, shape (K, n)."""
    w = 2.0 * np.pi * LARMOR_MHZ * nmr.shifts_ppm(T_K)
    matrix: np.ndarray = np.exp((1j * w - np.pi * nmr.widths_Hz(T_K))[:, None] * t_s)
    return matrix


@pytest.mark.parametrize("inhomogeneous", ["", ", inhomogeneous: 50 %, shape: gauss"])
def test_homogeneous_2d_is_the_bilinear_form_of_its_mixing_matrix(tmp_path: Path, inhomogeneous: str) -> None:
    """S = sum A_ij cos(w_i t1) s_i(t1) exp(i w_j t2) s_j(t2) where lines are homogeneous, and only there."""
    nmr = sample(tmp_path, line=inhomogeneous)
    t1_s = 0.4e-3 + np.arange(24) * 0.8e-3
    rx = receiver()
    rows = nmr.exsy(T_K=T_K, receiver=rx, pulse_s=5e-6, recycle_s=2.0, mixing_s=0.5, t1_s=t1_s)
    A = nmr.recycled_mixing_matrix(T_K, 0.5, pulse_s=5e-6, recycle_s=2.0)
    encode, detect = label_matrix(nmr, t1_s), label_matrix(nmr, rx.t2_s)
    if inhomogeneous:
        assert np.abs(rows[0] - encode.real.T @ A @ detect).max() > 1e-3
    else:
        assert rows[0] == pytest.approx(encode.real.T @ A @ detect, abs=1e-12)
        assert rows[1] == pytest.approx(encode.imag.T @ A @ detect, abs=1e-12)


def test_spins_that_left_their_phase_forget_their_offset(tmp_path: Path) -> None:
    """After long mixing an inhomogeneous sample draws the same 2D as a homogeneous one."""
    t1_s = np.arange(16) * 0.8e-3
    drawn = [
        sample(tmp_path, line=line).exsy(
            T_K=373.15, receiver=receiver(), pulse_s=5e-6, recycle_s=1e3, mixing_s=mixing_s, t1_s=t1_s
        )[0]
        for mixing_s in (0.01, 20.0)
        for line in ("", ", inhomogeneous: 0.6")
    ]
    relative = [np.abs(drawn[index + 1] - drawn[index]).max() / np.abs(drawn[index]).max() for index in (0, 2)]
    assert relative[0] > 0.1
    assert relative[1] < 1e-6


@settings(max_examples=20, deadline=None)
@given(flip=st.floats(0.1, 1.3), recycle_s=st.floats(0.05, 5.0), mixing_s=st.floats(0.01, 3.0))
def test_the_steady_state_is_what_many_scans_lead_to(
    tmp_path_factory: pytest.TempPathFactory, flip: float, recycle_s: float, mixing_s: float
) -> None:
    """Pulse by pulse on the two coupled sites, scans converge to the amplitudes given (the slow twin)."""
    from scipy.linalg import expm

    nmr = sample(tmp_path_factory.getbasetemp())
    p, k = np.array([0.6, 0.4]), np.array([[0.0, 0.5], [0.75, 0.0]])
    L = k.T - np.diag(k.sum(axis=1)) - np.diag(1.0 / nmr.T1_s(T_K))
    c = math.cos(flip * math.pi / 2)
    recycle, mixing = expm(L * recycle_s), expm(L * mixing_s)
    pulse_s = flip * nmr.p90_s(T_K)
    m = z = p
    for _ in range(400):
        m = p + recycle @ (c * m - p)
        z = p + recycle @ (c * (p + mixing @ (c * c * z - p)) - p)
    fid = nmr.one_pulse(T_K=T_K, receiver=receiver(1), pulse_s=pulse_s, recycle_s=recycle_s)
    assert fid[0] == pytest.approx(m.sum() * math.sin(flip * math.pi / 2), rel=1e-6)
    A = nmr.recycled_mixing_matrix(T_K, mixing_s, pulse_s=pulse_s, recycle_s=recycle_s)
    assert pytest.approx(z[:, None] * mixing.T, rel=1e-6) == A


def test_saturation_recovery_rises_from_what_the_comb_leaves_to_equilibrium(tmp_path: Path) -> None:
    """M(0) is the comb's rest, M(long) everything, and without exchange in between each site keeps its own T1."""
    nmr = sample(tmp_path, probe=", comb_leaves: 2 %")
    fids = nmr.saturation_recovery(T_K=T_K, receiver=receiver(), pulse_s=5e-6, delays_s=np.array([0.0, 0.01, 1e3]))
    assert fids.shape == (3, 512)
    assert fids[0, 0] == pytest.approx(0.02)
    assert fids[2, 0] == pytest.approx(1.0)
    early = 0.98 * 0.01 * (0.6 / 3.0 + 0.4 / 1.0)
    assert fids[1, 0].real - 0.02 == pytest.approx(early, rel=0.02)


def test_nutation_peaks_at_the_90_and_crosses_zero_at_the_180(tmp_path: Path) -> None:
    """It is the sine of the flip angle when the RF is even; a Gauss spread of it damps the nutation."""
    even, spread = sample(tmp_path), sample(tmp_path, probe=", rf_spread: 5 %")
    pulses_s = np.array([2.5, 5.0, 10.0, 15.0]) * 1e-6
    fids = even.nutation(T_K=T_K, receiver=receiver(), pulses_s=pulses_s, recovery_s=1e3)
    assert fids[:, 0].real == pytest.approx(np.sin(np.pi / 2 * pulses_s / 5e-6), abs=1e-12)
    damped = spread.nutation(T_K=T_K, receiver=receiver(), pulses_s=pulses_s, recovery_s=1e3)[:, 0].real
    expected = np.sin(np.pi / 2 * pulses_s / 5e-6) * np.exp(-0.5 * (0.05 * np.pi / 2 * pulses_s / 5e-6) ** 2)
    assert damped == pytest.approx(expected, abs=1e-9)


def test_the_90_degree_pulse_drifts_with_temperature(tmp_path: Path) -> None:
    """p90 grows by its slope from the reference temperature."""
    nmr = sample(tmp_path, probe=", p90_slope: 0.05 %/K")
    assert nmr.p90_s(T_K) == pytest.approx(5e-6)
    assert nmr.p90_s(T_K + 80.0) == pytest.approx(5e-6 * 1.04)


def test_sidebands_stand_at_the_spinning_rate_and_fold_away_in_f1(tmp_path: Path) -> None:
    """Each first sideband has its share of the line; t1 in whole rotor periods does not see the rotor."""
    nmr = sample(tmp_path, more="sidebands: 2 %")
    plain = sample(tmp_path)
    rx = Receiver(larmor_MHz=LARMOR_MHZ, carrier_ppm=2.0, t2_s=np.arange(20000) * 2e-5, spinning_Hz=1e4)
    fid = nmr.one_pulse(T_K=T_K, receiver=rx, pulse_s=5e-6, recycle_s=1e6)
    fid[0] *= 0.5
    spectrum = np.abs(np.fft.fft(fid))
    axis_Hz = np.fft.fftfreq(rx.t2_s.size, 2e-5)
    centre, sideband = (spectrum[np.abs(axis_Hz - at_Hz) < 5.0].max() for at_Hz in (0.0, 1e4))
    assert sideband / centre == pytest.approx(0.02 / 0.96, rel=0.05)

    synchronous, off = np.arange(8) * 0.8e-3, np.arange(8) * 0.8e-3 + 0.05e-3
    slow = receiver(64, spinning_Hz=1e4)  # one dwell is one rotor period: t2 does not see it either
    for t1_s, same in ((synchronous, True), (off, False)):
        rows = [
            kind.exsy(T_K=T_K, receiver=slow, pulse_s=5e-6, recycle_s=9.0, mixing_s=0.1, t1_s=t1_s)[0]
            for kind in (nmr, plain)
        ]
        assert np.allclose(rows[0], rows[1], atol=1e-9) is same


def test_the_field_creeps_from_the_start_of_an_acquisition(tmp_path: Path) -> None:
    """Each row turns with the field of its own time, in t1 and in t2; the gain creeps along."""
    nmr = sample(tmp_path, more="drift: {field: 2 Hz/h, decay: 3 h, gain: 1 %/day}")
    elapsed_s = np.array([0.0, 3600.0, 36000.0])
    t1_s = np.full(3, 4e-3)
    rx = receiver(64)
    still = [part[0] for part in nmr.exsy(T_K=T_K, receiver=rx, pulse_s=5e-6, recycle_s=9.0, mixing_s=0.1, t1_s=t1_s)]
    moved = nmr.exsy(T_K=T_K, receiver=rx, pulse_s=5e-6, recycle_s=9.0, mixing_s=0.1, t1_s=t1_s, elapsed_s=elapsed_s)
    assert moved[0][0] == pytest.approx(still[0])
    for row in (1, 2):
        hours = elapsed_s[row] / 3600.0
        drift_Hz = 2.0 * 3.0 * (1.0 - math.exp(-hours / 3.0))
        turn1 = 2.0 * math.pi * drift_Hz * 4e-3
        expected = math.cos(turn1) * still[0] - math.sin(turn1) * still[1]
        expected = expected * np.exp(2j * np.pi * drift_Hz * rx.t2_s) * (1.0 + 0.01 * hours / 24.0)
        assert moved[0][row] == pytest.approx(expected, abs=1e-12)
    steady = Receiver(larmor_MHz=LARMOR_MHZ, carrier_ppm=0.0, t2_s=rx.t2_s, spinning_Hz=1e4, field_drift_Hz_per_h=0.0)
    unmoved = nmr.exsy(
        T_K=T_K, receiver=steady, pulse_s=5e-6, recycle_s=9.0, mixing_s=0.1, t1_s=t1_s, elapsed_s=elapsed_s
    )
    assert unmoved[0][2] == pytest.approx(still[0] * (1.0 + 0.01 * 10.0 / 24.0))


SHOULDER = """
version: 1
name: a shoulder
nmr:
  nucleus: 6Li
  sites:
    Li2S: {shift: 2.31 ppm, width: 30 Hz}
    LPSC: {shift: 1.29 ppm, width: 15 Hz, fraction: 70 %}
    shoulder: {shift: 1.44 ppm, width: 15 Hz, phase: LPSC, fraction: 0.3}
  relaxation: {Li2S: {T1: 1000000 s}, LPSC: {T1: 1000000 s}}
  within_phase: {LPSC: {rate: 2 1/s}}
  exchange:
    layered:
      layers:
        - {phase: Li2S, outer: 1, density: 20 1/nm^3, kD: 0.01 1/s}
        - {phase: LPSC, outer: 1.5, density: 20 1/nm^3, kD: 1 1/s}
  probe: {p90: 5 us}
  noise_per_scan: 0.1
"""


def test_sites_that_share_a_phase_share_its_exchange(tmp_path: Path) -> None:
    """Sub-sites split rows and columns by their fractions, forget each other at their own rate, conserve the label."""
    path = tmp_path / "shoulder.yaml"
    path.write_text(SHOULDER, encoding="utf-8")
    nmr = load_sample(path).nmr
    p = nmr.populations
    assert p.sum() == pytest.approx(1.0)
    assert nmr.mixing_matrix(T_K, 0.0) == pytest.approx(np.diag(p), abs=1e-9)
    for mixing_s in (0.1, 1.0, 1e3):
        A = nmr.mixing_matrix(T_K, mixing_s)
        assert pytest.approx(A.T, abs=1e-12) == A
        assert A.sum(axis=1) == pytest.approx(p * math.exp(-mixing_s / 1e6), abs=1e-6)
        assert A[0, 1] / A[0, 2] == pytest.approx(0.7 / 0.3)
        within = A[1:, 1:].sum()
        assert A[1, 2] == pytest.approx(within * 0.21 * (1.0 - math.exp(-2.0 * mixing_s)))


def test_pulse_errors_scale_all_peaks_alike_when_recovered(tmp_path: Path) -> None:
    """Three pulses of flip b leave sin(b)^3 of every peak once the spins are recovered."""
    nmr = sample(tmp_path)
    rows = [
        nmr.exsy(T_K=T_K, receiver=receiver(64), pulse_s=5e-6 * flip, recycle_s=1e6, mixing_s=0.3, t1_s=np.zeros(1))[0]
        for flip in (1.0, 0.8)
    ]
    assert rows[1] == pytest.approx(rows[0] * math.sin(0.4 * math.pi) ** 3)


def test_spins_that_change_sites_within_their_phase_forget_their_offset(tmp_path: Path) -> None:
    """With fast hops between the sub-sites an inhomogeneous line draws the 2D of a homogeneous one."""
    rows = []
    for width in ("width: 15 Hz", "width: 15 Hz, inhomogeneous: 1"):
        path = tmp_path / "shoulder.yaml"
        path.write_text(
            SHOULDER.replace("rate: 2 1/s", "rate: 1000 1/s").replace("width: 15 Hz", width), encoding="utf-8"
        )
        rows.append(
            load_sample(path).nmr.exsy(
                T_K=T_K,
                receiver=receiver(64),
                pulse_s=5e-6,
                recycle_s=1e8,
                mixing_s=0.1,
                t1_s=np.arange(8) * 0.8e-3,
            )[0]
        )
    assert rows[1] == pytest.approx(rows[0], abs=1e-12)


def test_t1_and_widths_shrink_on_heating_by_their_own_activation_energy(tmp_path: Path) -> None:
    """Both follow exp(+Ea/kT); a line without one keeps its width, and shifts move by their slope."""
    nmr = sample(tmp_path, line=", width_Ea: 0.05 eV, shift_slope: 0.001 ppm/K")
    shrunk = math.exp(0.05 / 8.617333262e-5 * (1 / 373.15 - 1 / T_K))
    assert shrunk < 0.7
    assert nmr.T1_s(373.15) == pytest.approx(nmr.T1_s(T_K) * shrunk)
    assert nmr.widths_Hz(373.15) == pytest.approx(nmr.widths_Hz(T_K) * shrunk)
    assert sample(tmp_path).widths_Hz(373.15) == pytest.approx(nmr.widths_Hz(T_K))
    assert nmr.shifts_ppm(373.15) == pytest.approx(nmr.shifts_ppm(T_K) + 0.08)
