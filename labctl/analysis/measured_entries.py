"""What the spectra gave, as entries of ``results.json`` and as data for the fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labctl.analysis.buildup import Buildup, MixingPoint, RecoveryCurve
from labctl.analysis.gather import Measured
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.nmr.relaxation import Recovery
from labctl.analysis.results import T1, DatasetEntry, MatrixEntry


def buildup(
    T_K: float | None,
    sites: tuple[str, ...],
    lines: LineSet,
    matrices: Sequence[AmplitudeMatrix],
    recoveries: Sequence[Recovery],
) -> Buildup:
    """Return the data of one temperature for the fits."""
    index = {site: number for number, site in enumerate(sites)}
    curves = tuple(
        RecoveryCurve(
            site=index[one.site],
            delays_s=np.array(one.delays_s),
            intensities=np.array(one.intensities),
            intensity_se=np.array(one.intensity_se),  # scatter beyond the noise is in it already
            T1_s=one.T1_s,
            dataset=one.dataset,
        )
        for one in recoveries
        if one.site in index
    )
    return Buildup(
        sites=sites,
        T_K=T_K,
        points=tuple(mixing_point(one, lines) for one in matrices),
        recoveries=curves,
        line_covariance=lines.cov,
    )


def mixing_point(one: AmplitudeMatrix, lines: LineSet) -> MixingPoint:
    """Return one 2D for the fits."""
    return MixingPoint(
        tmix_s=one.mixing_time_s,
        A=one.A,
        covariance=one.cov + one.line_slope.T @ lines.cov @ one.line_slope,
        line_slope=one.line_slope,
        recycle_delay_s=one.recycle_delay_s,
        dataset=one.dataset,
    )


def matrix_entry(one: AmplitudeMatrix, point: MixingPoint) -> MatrixEntry:
    """Return one 2D for the results, divided by its sum."""
    A, covariance = point.normalised()
    return MatrixEntry(
        T_K=one.T_K,
        tmix_s=one.mixing_time_s,
        A=A.tolist(),
        A_se=np.sqrt(np.clip(np.diag(covariance), 0, None)).reshape(A.shape).tolist(),
        normalisation="sum",
        dataset=one.dataset,
        recycle_delay_s=one.recycle_delay_s,
        rows=one.rows,
        chi2_red=one.chi2_red,
        asymmetry_sigma=abs(point.asymmetry()[0]),
    )


def t1_entry(one: Recovery) -> T1:
    """Return the T1 of one site for the results."""
    return T1(
        site=one.site,
        ppm=one.ppm,
        T_K=one.T_K,
        T1_s=one.T1_s,
        T1_se_s=one.T1_se_s,
        model=one.model,
        alpha=one.alpha,
        alpha_se=one.alpha_se,
        M0=one.M0,
        M0_se=one.M0_se,
        chi2_red=one.chi2_red,
        delays_s=list(one.delays_s),
        intensities=list(one.intensities),
        intensity_se=list(one.intensity_se),
        dataset=one.dataset,
        warnings=list(one.warnings),
    )


def dataset_entry(one: Measured) -> DatasetEntry:
    """Return what one acquisition was, for the results."""
    raw = one.raw
    parameters: dict[str, float | int | str] = {"scans": raw.scans, "pulse_us": 1e6 * raw.pulse_s}
    optional = {
        "mixing_time_s": raw.mixing_time_s,
        "recycle_delay_s": raw.recycle_delay_s,
        "spinning_Hz": raw.spinning_Hz,
        "receiver_gain": raw.receiver_gain,
    }
    parameters |= {name: value for name, value in optional.items() if value is not None}
    parameters |= {"larmor_MHz": raw.larmor_MHz, "spectral_width_Hz": raw.spectral_width_Hz}
    return DatasetEntry(
        dataset=one.name,
        path=str(one.path),
        kind=one.kind,
        completeness=one.completeness,
        shape=[raw.rows_acquired, raw.points],
        pulse_program=raw.pulse_program,
        nucleus=raw.nucleus,
        T_K=one.T_K,
        T_se_K=one.T_se_K,
        setpoint_K=one.setpoint_K,
        started_s=one.manifest.started_s if one.manifest else raw.started_s,
        ended_s=one.manifest.ended_s if one.manifest else raw.ended_s,
        parameters=parameters,
        remarks=list(one.remarks),
    )
