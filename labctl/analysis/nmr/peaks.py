"""Where lines are, before anything is fitted: peaks of the summed power spectrum, and a coarse search around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft, special

from labctl.analysis.nmr.basis import Complex, Real, Shape, f2_basis
from labctl.analysis.nmr.rows import Rows

_ROWS_LOOKED_AT = 8
_DATASETS_LOOKED_AT = 4
_PROMINENCE = 0.002
"""Least prominence of a peak, as a fraction of the strongest (in power)."""
_FALSE_ALARM = 1e-4
"""Chance that noise alone shows a peak anywhere in a spectrum."""
_WIDTHS_Hz = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


def find_peaks(rows: Sequence[Rows], *, most: int) -> list[float]:
    """Return offsets [Hz] of at most `most` peaks, strongest first.

    Power spectra of the rows with the least t1 (or the strongest rows) are summed, so phase does not matter.
    A peak must be higher than noise gets in one spectrum of 10 000, and stand out by 0.2 % (in power) of the strongest.
    """
    looked_at = _strongest(rows)
    size = fft.next_fast_len(2 * max(one.shape[1] for one in looked_at))
    dwell_s = float(rows[0].t2_s[1] - rows[0].t2_s[0])
    t = np.arange(size) * dwell_s
    broadening = 0.5 / (np.pi * _decay_time(looked_at, dwell_s))
    window = np.exp(-np.pi * broadening * t)
    power = np.zeros(size)
    for one in looked_at:
        points = one.shape[1]
        taper = np.cos(0.5 * np.pi * np.clip(2.0 * np.arange(points) / points - 1.0, 0.0, 1.0)) ** 2
        spectrum = fft.fft(one * (window[:points] * taper), size, axis=1)
        power += np.sum(np.abs(spectrum) ** 2, axis=0)
    power = fft.fftshift(power)
    # Summed power of noise is gamma distributed, one degree for each row.
    count = sum(one.shape[0] for one in looked_at)
    floor = float(np.median(power)) / float(special.gammaincinv(count, 0.5))
    highest_noise = floor * float(special.gammainccinv(count, _FALSE_ALARM / size))
    least = max(_PROMINENCE * (float(power.max()) - floor * count), highest_noise - floor * count)
    from scipy import signal  # noqa: PLC0415 - half a second, for data whose sites nobody named

    at, found = signal.find_peaks(power, height=highest_noise, prominence=least)
    strongest = at[np.argsort(-found["prominences"])][:most]
    axis = fft.fftshift(fft.fftfreq(size, dwell_s))
    return [float(axis[index]) for index in strongest]


def _strongest(rows: Sequence[Rows]) -> list[Complex]:
    """The rows that show most: of each dataset the eight of most power."""
    return [one.scaled(np.sort(np.argsort(-one.row_power())[:_ROWS_LOOKED_AT])) for one in rows]


def _decay_time(rows: Sequence[Complex], dwell_s: float) -> float:
    """Time constant of the mean decay [s], from the centre of gravity of the power above its floor."""
    points = min(one.shape[1] for one in rows)
    power = np.sum([np.sum(np.abs(one[:, :points]) ** 2, axis=0) for one in rows], axis=0)
    power = np.maximum(power - np.median(power[-max(4, points // 4) :]), 0.0)
    above = power > 0.01 * power.max()
    total = float(power[above].sum())
    centre = float((np.flatnonzero(above) * power[above]).sum()) / total if total > 0 else points / 2
    return max(2.0 * centre, 4.0) * dwell_s


def coarse_shape(rows: Sequence[Rows], offset_Hz: Real, *, shift_Hz: float) -> Shape:
    """Return the best start near the given offsets: one shift and one width for all, and the common phase.

    Parameters
    ----------
    shift_Hz : float
        How far the lines may have moved together (field drift, referencing); 0 holds them.
    """
    looked_at = _strongest(rows[:: max(1, len(rows) // _DATASETS_LOOKED_AT)])
    points = min(one.shape[1] for one in looked_at)
    data = np.vstack([one[:, :points] for one in looked_at])
    t2_s = rows[0].t2_s[:points]
    best: tuple[float, float, float] = (-1.0, 0.0, _WIDTHS_Hz[0])
    for width in _WIDTHS_Hz:
        shifts = np.arange(-shift_Hz, shift_Hz + 1e-9, max(width / 2, 2.0)) if shift_Hz > 0 else np.zeros(1)
        basis = f2_basis(t2_s, _shape(offset_Hz, width))
        # A common shift leaves the Gram matrix as it is, so it can be moved from the basis to the data.
        turned = data[:, None, :] * basis.conj().T
        onto = (turned.reshape(-1, points) @ np.exp(-2j * np.pi * t2_s[:, None] * shifts)).reshape(
            data.shape[0], offset_Hz.size, shifts.size
        )
        inverse = np.linalg.pinv(basis.conj().T @ basis, rcond=1e-9)
        explained = np.real(np.einsum("ris,ij,rjs->s", onto.conj(), inverse, onto))
        at = int(np.argmax(explained))
        if explained[at] > best[0]:
            best = (float(explained[at]), float(shifts[at]), width)
    _, shift, width = best
    shape = _shape(offset_Hz + shift, width)
    amplitudes = np.linalg.lstsq(f2_basis(t2_s, shape), data.T, rcond=None)[0]
    phase = 0.5 * float(np.angle(np.sum(amplitudes**2)))
    return Shape(offset_Hz=shape.offset_Hz, lorentz_Hz=shape.lorentz_Hz, gauss2_Hz2=shape.gauss2_Hz2, phase_rad=phase)


def _shape(offset_Hz: Real, width_Hz: float) -> Shape:
    return Shape(offset_Hz=offset_Hz, lorentz_Hz=np.full(offset_Hz.size, width_Hz), gauss2_Hz2=np.zeros(offset_Hz.size))
