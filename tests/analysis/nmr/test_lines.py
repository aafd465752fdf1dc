"""Lines: found, refined together, and doubted where doubt is due."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares

from labctl.analysis.nmr.basis import Shape, f1_basis, f1_with_derivatives, f2_basis, f2_with_derivatives
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.joint_fit import fit_jointly
from labctl.analysis.nmr.lines import find_lines, refine_lines
from labctl.analysis.nmr.rows import noise_of, prepare
from labctl.errors import InputError
from labctl.formats.bruker_dataset import read_dataset


def test_positions_and_widths_within_their_errors(sample: Any, truth: Any) -> None:
    """Over seeds, positions and widths deviate by their stated errors: rms 1."""
    z: list[Any] = []
    for seed in range(16):
        lines = refine_lines([sample.exsy(truth, seed=seed)], sites=sample.ppm).lines
        z.extend((line.offset_Hz - f) / line.offset_se_Hz for line, f in zip(lines, sample.offset, strict=True))
        z.extend((line.fwhm_Hz - w) / line.fwhm_se_Hz for line, w in zip(lines, sample.lorentz, strict=True))
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.2)


def test_lines_are_found_without_being_named(sample: Any, truth: Any) -> None:
    """Unnamed sites are found where they are, numbered by falling intensity, and give the same lines."""
    dataset = sample.exsy(truth, rows=64)
    found = refine_lines([dataset])
    named = refine_lines([dataset], sites=sample.ppm)

    assert sorted(find_lines([dataset])) == pytest.approx(sorted(sample.ppm.values()), abs=0.3)
    assert found.names == ("site 1", "site 2", "site 3")
    assert sorted(line.ppm for line in found.lines) == pytest.approx(sorted(line.ppm for line in named.lines), abs=1e-3)


def test_sites_that_moved_together_are_followed(sample: Any, truth: Any) -> None:
    """A field drift or a temperature shift of 0.25 ppm does not lose the lines."""
    moved = replace(sample, offset=tuple(f + 0.25 * 73.578 for f in sample.offset))
    lines = refine_lines([moved.exsy(truth)], sites=sample.ppm).lines

    assert [line.offset_Hz for line in lines] == pytest.approx(list(moved.offset), abs=1.0)


def test_gaussian_parts_are_found_only_where_they_are(sample: Any, truth: Any) -> None:
    """A Voigt line is told from Lorentzians: width parts are right, and Lorentzians stay purely so."""
    voigt = replace(sample, gauss=(20.0, 0.0, 0.0), noise=5.0)
    lines = refine_lines([voigt.exsy(truth, rows=96)], sites=sample.ppm).lines

    assert lines[0].gauss_Hz == pytest.approx(20, rel=0.05)
    assert lines[0].lorentz_Hz == pytest.approx(30, rel=0.05)
    assert lines[1].gauss_Hz == 0


def test_the_fit_ends_where_a_general_optimiser_ends(sample: Any, truth: Any) -> None:
    """Gauss-Newton on inner products reaches the minimum of scipy's least squares on the raw residuals."""
    small = replace(sample, points=400)
    rows = [prepare(small.exsy(truth, rows=12, seed=seed)) for seed in range(2)]
    start = Shape(
        offset_Hz=np.array([168.0, 97.0, -330.0]),
        lorentz_Hz=np.array([25.0, 20.0, 30.0]),
        gauss2_Hz2=np.zeros(3),
        phase_rad=0.3,
    )
    free = [f"{key}/{j}" for key in ("offset_Hz", "lorentz_Hz") for j in range(3)] + ["phase_rad", "t1_phase_rad"]
    fit = fit_jointly(rows, start, free)

    def residual(x: Any) -> Any:
        shape = replace(start, offset_Hz=x[:3], lorentz_Hz=x[3:6], phase_rad=x[6], t1_phase_rad=x[7])
        out = []
        for one in rows:
            assert one.t1_s is not None
            assert one.is_sine is not None
            e1, e2, data = f1_basis(one.t1_s, one.is_sine, shape), f2_basis(one.t2_s, shape), one.scaled()
            columns = np.einsum("ri,nj->rnij", e1, e2).reshape(data.size, 9)
            design = np.vstack([columns.real, columns.imag])
            flat = np.concatenate([data.real.ravel(), data.imag.ravel()])
            out.append((flat - design @ np.linalg.lstsq(design, flat, rcond=None)[0]) / one.noise)
        return np.concatenate(out)

    x0 = np.concatenate([start.offset_Hz, start.lorentz_Hz, [0.3, 0.0]])
    slow = least_squares(residual, x0, x_scale=[1, 1, 1, 5, 5, 5, 0.1, 0.1], xtol=1e-10, ftol=1e-10)
    ours = [*fit.shape.offset_Hz, *fit.shape.lorentz_Hz, fit.shape.phase_rad, fit.shape.t1_phase_rad]
    se = np.sqrt(np.diag(np.linalg.inv(np.asarray(slow.jac).T @ np.asarray(slow.jac))))

    assert fit.chi2 == pytest.approx(2 * slow.cost, rel=1e-6)
    np.testing.assert_allclose((np.array(ours) - slow.x) / se, 0, atol=0.02)
    np.testing.assert_allclose([fit.se(name) for name in free], se, rtol=0.05)


@pytest.mark.parametrize(
    ("block", "name", "step"), [(1, "offset_Hz", 1e-3), (2, "lorentz_Hz", 1e-3), (3, "gauss2_Hz2", 1e-2)]
)
def test_derivatives_are_those_of_the_bases(block: int, name: str, step: float) -> None:
    """The stacked derivatives equal central differences of the bases, site by site, in F1 and F2."""
    t = np.linspace(0.0, 0.05, 40)
    odd = np.arange(40) % 2 == 1
    shape = Shape(
        offset_Hz=np.array([170.0, -335.0]),
        lorentz_Hz=np.array([20.0, 10.0]),
        gauss2_Hz2=np.array([225.0, 0.5]),
        phase_rad=0.3,
        t2_origin_s=2e-5,
        t1_phase_rad=0.1,
        t1_origin_s=-1e-5,
    )
    up, down = (replace(shape, **{name: getattr(shape, name) + sign * step}) for sign in (1, -1))
    columns = slice(2 * block, 2 * block + 2)

    np.testing.assert_allclose(
        f2_with_derivatives(t, shape)[:, columns],
        (f2_basis(t, up) - f2_basis(t, down)) / (2 * step),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        f1_with_derivatives(t, odd, shape)[:, columns],
        (f1_basis(t, odd, up) - f1_basis(t, odd, down)) / (2 * step),
        atol=1e-6,
    )


def test_an_absent_site_is_held_and_said_to_be_absent(sample: Any, truth: Any) -> None:
    """A site without signal does not wander into the noise; its line stays where it was said to be."""
    without = truth.copy()
    without[2], without[:, 2] = 0, 0
    lines = refine_lines([sample.exsy(without)], sites=sample.ppm)

    assert lines.lines[2].ppm == pytest.approx(sample.ppm["LiI"], abs=0.3)
    assert any("LiI is not seen" in warning for warning in lines.warnings)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_close_lines_keep_their_names(sample: Any, order: tuple[int, ...]) -> None:
    """Two lines 11 Hz apart that pass each other during the fit come out under the names that were given them."""
    offset, ppm = (169.97, 94.92, 105.95, -335.52), (2.31, 1.29, 1.44, -4.56)
    sites = {f"{ppm[j]} ppm": ppm[j] for j in order}
    four = replace(sample, offset=offset, lorentz=(30.0, 15.0, 15.0, 40.0), gauss=(0.0,) * 4, noise=1.0)
    lines = refine_lines([four.exsy(np.diag([400.0, 200.0, 140.0, 60.0]))], sites=sites)

    assert [line.name for line in lines.lines] == list(sites)
    assert [line.offset_Hz for line in lines.lines] == pytest.approx([offset[j] for j in order], abs=0.3)


def test_sites_too_close_to_tell_apart_are_doubted(sample: Any, truth: Any) -> None:
    """Two sites 3 Hz apart under 30 Hz lines are reported as hardly separable."""
    lines = refine_lines([sample.exsy(truth)], sites={"bulk": 2.31, "active": 2.27, "LPSC": 1.29, "LiI": -4.56})

    assert any("overlap" in warning for warning in lines.warnings)


def test_inhomogeneous_width_is_seen_and_measured(sample: Any) -> None:
    """Lines drawn as isochromats betray the width that t1 and t2 share; homogeneous ones claim none."""
    width, points = 15.0, 9
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    true = 1000.0 * np.diag([0.4, 0.5, 0.1])
    quiet = replace(sample, noise=5.0)
    spread = quiet.exsy(0 * true)
    data = spread.data.copy()
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        isochromat = replace(
            quiet,
            offset=tuple(f + node * width / 2.3548 for f in sample.offset),
            lorentz=tuple(w / 2 for w in sample.lorentz),
            noise=0.0,
        )
        data += weight * isochromat.exsy(true).data
    lines = refine_lines([replace(spread, data=data)], sites=sample.ppm)
    homogeneous = refine_lines([quiet.exsy(true)], sites=sample.ppm)

    for line in lines.lines[:2]:
        assert line.inhomogeneous_Hz == pytest.approx(width, rel=0.15)
    assert any("inhomogeneous" in warning for warning in lines.warnings)
    assert all(line.inhomogeneous_Hz == 0 for line in homogeneous.lines)


def test_noise_is_read_through_what_is_left_of_narrow_lines(sample: Any) -> None:
    """Signal that has not decayed at the end of the acquisition does not count as noise."""
    narrow = replace(sample, lorentz=(3.0, 3.0, 3.0), points=1200)
    rows = narrow.rows(np.full((12, 3), 500.0)).one_d

    assert noise_of(rows.data) / rows.scans == pytest.approx(sample.noise / np.sqrt(rows.scans), rel=0.05)


def test_datasets_that_share_no_phase_are_refused(sample: Any, truth: Any) -> None:
    """A 1D and a 2D cannot share a receiver phase; noise alone has no line."""
    two_d, one_d = sample.exsy(truth), sample.rows(truth[:1]).one_d

    with pytest.raises(InputError, match="one pulse program"):
        refine_lines([two_d, one_d], sites=sample.ppm)
    with pytest.raises(InputError, match="no line stands out"):
        refine_lines([sample.exsy(0 * truth)])


def test_field_drift_between_datasets_is_followed(sample: Any, truth: Any) -> None:
    """Without a lock later 2Ds lie elsewhere: the shift of each is measured, and its matrix is unbiased."""
    drift = (0.0, 4.0, -3.0)
    datasets = [
        replace(
            replace(sample, offset=tuple(f + shift for f in sample.offset)).exsy(truth, seed=seed),
            path=Path(f"2d-{seed}"),
        )
        for seed, shift in enumerate(drift)
    ]
    lines = refine_lines(datasets, sites=sample.ppm)
    still = refine_lines([datasets[0], replace(datasets[0], path=Path("again"))], sites=sample.ppm)

    assert list(lines.shifts_Hz) == pytest.approx(drift, abs=0.2)
    assert still.shifts_Hz == (0.0, 0.0)
    for dataset in datasets:
        matrix = estimate_amplitudes(dataset, lines)
        assert matrix.chi2_red == pytest.approx(1, abs=0.1)
        assert np.max(np.abs(matrix.A - truth) / matrix.A_se) < 5


@pytest.mark.real_data
def test_real_lines(shared_data: Path) -> None:
    """The two 19F lines lie where published analysis of the same data has them, within its line-shape choices."""
    datasets = [read_dataset(shared_data / "bruker" / "exsy-19f" / str(expno)) for expno in range(10, 21)]
    lines = refine_lines(datasets)

    assert [line.offset_Hz for line in lines.lines] == pytest.approx([134.2, -464.5], abs=2.0)
    assert [line.fwhm_Hz for line in lines.lines] == pytest.approx([140, 147], abs=4.0)
    assert lines.chi2_red < 1.2
