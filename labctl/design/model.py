"""What a 2D tells of the parameters: the interface of the models, and blocks of measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One 2D: sample temperature, mixing time, recycle delay, rows and scans per row."""

    T_K: float
    tmix_s: float
    recycle_delay_s: float
    rows: int
    scans: int

    @property
    def transients(self) -> int:
        """Scans of all rows."""
        return self.rows * self.scans


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sensitivity:
    """What O amplitudes of a 2D are and how they move with P parameters.

    For S parameter sets, M mixing times and D recycle delays.

    Attributes
    ----------
    values : ndarray, shape (S, M, D, O)
    jacobian : ndarray, shape (S, M, D, O, P)
    """

    values: FloatArray
    jacobian: FloatArray


class Model(Protocol):
    """A model of mixing whose parameters 2Ds at several temperatures share."""

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters, in the order of the arrays."""
        ...

    @property
    def free_gain(self) -> bool:
        """Whether each 2D has a gain of its own, so that only ratios of its amplitudes count."""
        ...

    def T1_s(self, T_K: float) -> float:
        """Return the T1 [s] that recycle delays are reckoned in: the slowest site's."""
        ...

    def sensitivity(
        self, theta: FloatArray, T_K: float, tmix_s: FloatArray, recycle_delay_s: FloatArray
    ) -> Sensitivity:
        """Return amplitudes and their derivatives for parameter sets `theta`, shape (S, P)."""
        ...

    def mirrored(self, theta: FloatArray) -> list[FloatArray]:
        """Return other parameter sets, shape (P,), that data may hardly tell from `theta`."""
        ...

    def covariance(self, rows: int) -> FloatArray:
        """Return the covariance of the amplitudes after one scan of each of `rows` rows, shape (O, O)."""
        ...


def information(model: Model, seen: Sensitivity, rows: int) -> FloatArray:
    """Return the Fisher information of one scan of `rows` rows, shape (S, M, D, P, P)."""
    W = np.linalg.inv(model.covariance(rows))
    weighted = np.einsum("oq,smdqp->smdop", W, seen.jacobian, optimize=True)
    told = np.einsum("smdop,smdor->smdpr", weighted, seen.jacobian, optimize=True)
    if model.free_gain:
        along = np.einsum("smdop,smdo->smdp", weighted, seen.values, optimize=True)
        norm = np.einsum("smdo,oq,smdq->smd", seen.values, W, seen.values, optimize=True)
        told = told - along[..., :, None] * along[..., None, :] / norm[..., None, None]
    return np.asarray(told)


def information_of(model: Model, theta: FloatArray, blocks: Sequence[Block]) -> FloatArray:
    """Return what `blocks` tell together, shape (S, P, P), for S parameter sets."""
    total = np.zeros((len(theta), len(model.names), len(model.names)))
    groups: dict[tuple[float, float, int], list[Block]] = {}
    for block in blocks:
        groups.setdefault((block.T_K, block.recycle_delay_s, block.rows), []).append(block)
    for (T_K, delay_s, rows), alike in groups.items():
        tmix_s = np.array([block.tmix_s for block in alike])
        each = information(model, model.sensitivity(theta, T_K, tmix_s, np.array([delay_s])), rows)[:, :, 0]
        total += np.einsum("m,smij->sij", np.array([float(block.scans) for block in alike]), each)
    return total


def standard_errors(information: FloatArray) -> FloatArray:
    """Return the Cramer-Rao bounds, shape (..., P); infinite where the data say nothing of any parameter's whole."""
    scale = np.sqrt(np.clip(np.einsum("...ii->...i", information), 1e-300, None))
    scaled = information / scale[..., :, None] / scale[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            inverse = np.linalg.inv(scaled)
        except np.linalg.LinAlgError:
            return np.full(information.shape[:-1], np.inf)
        variance = np.einsum("...ii->...i", inverse) / scale**2
    return np.where(variance > 0, np.sqrt(np.abs(variance)), np.inf)
