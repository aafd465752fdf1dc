"""What 2Ds that were measured change of a belief: maximum a posteriori, with the covariance of the linearised model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labctl.design.belief import Belief
from labctl.design.model import Block, Model

FloatArray = NDArray[np.float64]

_MOST_STEPS = 60
_SMALL = 1e-6
"""A step of so many standard errors ends the search."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """One 2D that was measured: its amplitudes, shape (O,), and their covariance, shape (O, O)."""

    block: Block
    values: FloatArray
    covariance: FloatArray


def learn(model: Model, prior: Belief, seen: Sequence[Seen]) -> Belief:
    """Return the posterior after `seen`.

    Levenberg-Marquardt on ``chi2 + (theta - prior)^T P (theta - prior)``; where 2Ds have a gain of their own it is
    projected out (Kaufman's approximation). The same data in another order give the same posterior.

    Which of two neighbouring phases is the slow one may stay open: the search is made again with the two exchanged, the
    better answer is the mean, and how far the other lies from it widens the covariance by the weight that it has.
    """
    if not seen:
        return prior
    roots = [np.linalg.cholesky(np.linalg.inv(one.covariance)).T for one in seen]
    found = [_walk(model, prior, seen, roots, prior.mean)]
    found += [_walk(model, prior, seen, roots, start) for start in model.mirrored(found[0][1])]
    found.sort(key=lambda one: one[0])
    cost, mean, curvature = found[0]
    covariance = np.linalg.inv(curvature)
    for other_cost, other, other_curvature in found[1:]:
        ratio = np.linalg.slogdet(curvature)[1] - np.linalg.slogdet(other_curvature)[1]
        weight = float(np.exp(min(0.0, cost - other_cost + 0.5 * ratio)))
        weight /= 1 + weight
        covariance = covariance + weight * np.outer(other - mean, other - mean)
    return Belief(names=prior.names, mean=mean, covariance=np.asarray(covariance))


def _walk(
    model: Model, prior: Belief, seen: Sequence[Seen], roots: Sequence[FloatArray], start: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Return half the least cost found from `start`, where it is (P,), and the curvature there (P, P)."""
    theta, precision = start.copy(), prior.precision()
    cost, gradient, curvature = _expand(model, prior, precision, seen, roots, theta)
    damping = 1e-3
    for _ in range(_MOST_STEPS):
        step = -np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
        tried = _expand(model, prior, precision, seen, roots, theta + step)
        if tried[0] <= cost:
            theta = theta + step
            cost, gradient, curvature = tried
            damping = max(damping / 10, 1e-12)
            if float(step @ curvature @ step) < _SMALL**2:
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    return cost, theta, curvature


def misfit(model: Model, prior: Belief, belief: Belief, seen: Sequence[Seen]) -> tuple[float, int]:
    """Return chi2 of what was seen at the mean of the posterior `belief`, and its degrees of freedom (at least 1)."""
    roots = [np.linalg.cholesky(np.linalg.inv(one.covariance)).T for one in seen]
    nothing = np.zeros_like(prior.covariance)
    chi2 = 2 * _expand(model, prior, nothing, seen, roots, belief.mean)[0]
    count = sum(one.values.size - model.free_gain for one in seen)
    return chi2, max(1, count - belief.mean.size)


def _expand(
    model: Model,
    prior: Belief,
    precision: FloatArray,
    seen: Sequence[Seen],
    roots: Sequence[FloatArray],
    theta: FloatArray,
) -> tuple[float, FloatArray, FloatArray]:
    """Return half the cost, its gradient (P,) and Gauss-Newton curvature (P, P)."""
    off = theta - prior.mean
    cost = 0.5 * float(off @ precision @ off)
    gradient, curvature = precision @ off, precision.copy()
    for one, root in zip(seen, roots, strict=True):
        at = one.block
        told = model.sensitivity(theta[None], at.T_K, np.array([at.tmix_s]), np.array([at.recycle_delay_s]))
        model_w, slope_w, data_w = root @ told.values[0, 0, 0], root @ told.jacobian[0, 0, 0], root @ one.values
        if model.free_gain:
            along = model_w / np.linalg.norm(model_w)
            gain = float(model_w @ data_w) / float(model_w @ model_w)
            slope_w = gain * (slope_w - np.outer(along, along @ slope_w))
            residual = data_w - gain * model_w
        else:
            residual = data_w - model_w
        cost += 0.5 * float(residual @ residual)
        gradient = gradient - slope_w.T @ residual
        curvature = curvature + slope_w.T @ slope_w
    return cost, gradient, curvature
