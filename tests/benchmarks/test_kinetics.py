"""The mixing models against what one would write without them; ratios in one run, on any machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal, expm

from labctl.analysis import diffusion, exchange
from labctl.analysis.global_fit import fit_campaign
from labctl.analysis.structure import Structure
from tests.analysis.layered_campaign import Layers, Plan, measure

TMIX_S = np.geomspace(0.01, 20, 10)
P = np.array([0.459, 0.0765, 0.4645])
DENSITY = np.array([43.5, 18.3, 22.1])
KD_PER_S = np.array([0.003, 0.010, 1.0])
FLUX_PER_S = np.array([0.02, 0.002, 0.03])


def _finite_volumes(cells: int = 100) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cells, conductances, one tridiagonal eigenproblem: the usual way, to about 4e-6."""
    edges = diffusion.layer_edges(P, DENSITY, "sphere")
    graded = 0.5 * (1 - np.cos(np.pi * np.arange(cells) / cells))
    faces = np.append((edges[:-1, None] + np.diff(edges)[:, None] * graded).ravel(), edges[-1])
    centre = (0.5 * (faces[1:] ** 3 + faces[:-1] ** 3)) ** (1 / 3)
    phase = np.repeat(np.arange(P.size), cells)
    weight = DENSITY[phase] * np.diff(faces**3) / 3
    mobility = (DENSITY * KD_PER_S)[phase]
    resistance = (1 / centre[:-1] - 1 / faces[1:-1]) / mobility[:-1] + (1 / faces[1:-1] - 1 / centre[1:]) / mobility[1:]
    conductance = 1 / resistance
    loss = np.append(0, conductance) + np.append(conductance, 0)
    rates, modes = eigh_tridiagonal(loss / weight, -conductance / np.sqrt(weight[:-1] * weight[1:]))
    projected = np.add.reduceat(np.sqrt(weight)[:, None] * modes, np.arange(P.size) * cells, axis=0)
    decay = np.exp(-np.multiply.outer(TMIX_S, rates))
    return np.asarray(np.einsum("in,tn,jn->tij", projected, decay, projected) / weight.sum())


def test_the_peer_solves_the_same_problem() -> None:
    """Both give one matrix, so their times may be compared."""
    ours = diffusion.mixing_matrix(TMIX_S, P / P.sum(), KD_PER_S, densities=DENSITY)
    assert _finite_volumes() == pytest.approx(ours, abs=3e-5)


@pytest.mark.benchmark(group="three-phase diffusion, 10 mixing times")
def test_three_phases_by_laplace(benchmark: Any) -> None:
    """Our solver; the target is 1 ms."""
    benchmark(diffusion.mixing_matrix, TMIX_S, P / P.sum(), KD_PER_S, densities=DENSITY)


@pytest.mark.benchmark(group="three-phase diffusion, 10 mixing times")
def test_three_phases_by_finite_volumes(benchmark: Any) -> None:
    """The peer: 100 cells a layer and scipy's tridiagonal eigensolver."""
    benchmark(_finite_volumes)


def _by_expm() -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    p = P / P.sum()
    k = exchange.rates(p, FLUX_PER_S)
    generator = k.T - np.diag(k.sum(axis=1))
    return [expm(generator * t) @ np.diag(p) for t in TMIX_S]


@pytest.mark.benchmark(group="three-site exchange, 10 mixing times")
def test_three_sites_by_one_eigenproblem(benchmark: Any) -> None:
    """Our kernel without derivatives."""
    benchmark(exchange.mixing_matrix, TMIX_S, P / P.sum(), FLUX_PER_S)


@pytest.mark.benchmark(group="three-site exchange, 10 mixing times")
def test_three_sites_by_expm(benchmark: Any) -> None:
    """The peer: scipy's expm at each mixing time."""
    benchmark(_by_expm)


@pytest.mark.benchmark(group="global fit of 5 temperatures x 7 mixing times with T1 recoveries")
def test_a_campaign_of_three_phases(benchmark: Any) -> None:
    """All models, geometries, bounds, profiles and single temperatures; the whole analysis has 10 s from raw files."""
    truth = Layers()
    groups = measure(truth, Plan(), 0)
    stated = Structure(layers=truth.sites, density_per_nm3=dict(zip(truth.sites, truth.density, strict=True)))
    benchmark.pedantic(fit_campaign, args=(groups, stated), rounds=3)
