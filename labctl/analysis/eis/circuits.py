"""Circuits for a pellet between blocking electrodes, evaluated for many parameter sets at once, with derivatives.

A circuit is written as it is drawn, elements in series: ``R`` a resistance, ``Q`` a constant phase element, ``(RQ)``
the two in parallel (an arc), ``L`` a lead inductance: ``(RQ)Q``, ``(RQ)(RQ)Q``, ``R(RQ)(RQ)``. With s = j omega::

    Z_R = R        Z_L = s L        Z_Q = 1 / (Q s^n)        Z_RQ = R / (1 + (s tau)^n),  tau = (R Q)^(1/n)

The walking coordinates are ln R, ln tau and n for an arc; ln(1/(Q omega_0^n)) and n for a Q, omega_0 the lowest angular
frequency (there its modulus is well determined, Q itself is not); ln L. An impedance of 1e9 ohm and a capacitance of
1e-12 F are then numbers of ordinary size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.errors import InputError

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

ElementKind = Literal["R", "Q", "RQ", "L"]
_SIZE: dict[ElementKind, int] = {"R": 1, "Q": 2, "RQ": 3, "L": 1}
EXPONENT_BOUNDS = (0.2, 1.0)
R_BOUNDS_OHM = (1e-6, 1e17)


@dataclass(frozen=True, slots=True)
class Element:
    """One element in series: its kind, its name (``arc 1``, ``R0``, ``electrode``), where its coordinates begin."""

    kind: ElementKind
    name: str
    at: int


@dataclass(frozen=True)
class Circuit:
    """Elements in series; arcs come first in `arcs`, in the order written."""

    text: str
    elements: tuple[Element, ...]

    @cached_property
    def size(self) -> int:
        """Number of parameters."""
        return sum(_SIZE[one.kind] for one in self.elements)

    @cached_property
    def arcs(self) -> tuple[Element, ...]:
        """Its (RQ) elements."""
        return tuple(one for one in self.elements if one.kind == "RQ")

    @cached_property
    def resistances(self) -> tuple[int, ...]:
        """Coordinates that are ln R; their sum is the resistance to direct current before the electrodes."""
        return tuple(one.at for one in self.elements if one.kind in {"R", "RQ"})

    @cached_property
    def exponents(self) -> tuple[int, ...]:
        """Coordinates that are an exponent n."""
        return tuple(one.at + _SIZE[one.kind] - 1 for one in self.elements if one.kind in {"Q", "RQ"})

    def bounds(self, log_omega_min: float, log_omega_max: float) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper bounds of the walking coordinates, shape (P,) each."""
        lower, upper = np.empty(self.size), np.empty(self.size)
        for one in self.elements:
            lower[one.at], upper[one.at] = np.log(R_BOUNDS_OHM)
            if one.kind == "RQ":  # an arc may be cut, but four decades outside the window nothing is seen of it
                lower[one.at + 1], upper[one.at + 1] = -log_omega_max - 6.9, -log_omega_min + 9.2
            if one.kind == "L":
                lower[one.at], upper[one.at] = np.log(1e-12), np.log(1e3)
        for at in self.exponents:
            lower[at], upper[at] = EXPONENT_BOUNDS
        return lower, upper

    def derivatives(
        self, theta: FloatArray, log_omega: FloatArray, log_omega_0: FloatArray
    ) -> tuple[ComplexArray, ComplexArray]:
        """Return Z, shape (S, N), and dZ by each walking coordinate, shape (S, P, N).

        Parameters
        ----------
        theta : ndarray, shape (S, P)
        log_omega : ndarray, shape (S, N)
        log_omega_0 : ndarray, shape (S, 1)
            Lowest log angular frequency of each spectrum.
        """
        shape = log_omega.shape
        dZ = np.empty((shape[0], self.size, shape[1]), dtype=np.complex128)
        Z = np.zeros(shape, dtype=np.complex128)
        log_s = log_omega + 0.5j * np.pi
        for one in self.elements:
            at = one.at
            if one.kind == "R":
                part: ComplexArray = np.broadcast_to(np.exp(theta[:, at, None]) + 0j, shape)
            elif one.kind == "L":
                part = np.exp(theta[:, at, None] + log_s)
            elif one.kind == "Q":
                lever = log_s - log_omega_0
                part = np.exp(theta[:, at, None] - theta[:, at + 1, None] * lever)
                dZ[:, at + 1] = -part * lever
            else:
                lever = log_s + theta[:, at + 1, None]
                n = theta[:, at + 2, None]
                u = np.exp(np.minimum(n * lever.real, 300.0) + 1j * n * lever.imag)
                share = 1.0 / (1.0 + u)
                part = np.exp(theta[:, at, None]) * share
                slope = -part * (u * share)
                dZ[:, at + 1] = n * slope
                dZ[:, at + 2] = lever * slope
            dZ[:, at] = part
            Z += part
        return Z, dZ


@lru_cache(maxsize=64)
def circuit(text: str) -> Circuit:
    """Return the circuit written as ``(RQ)(RQ)Q``.

    Raises
    ------
    InputError
        Another element than R, Q, L and (RQ), or none.
    """
    tokens = re.findall(r"\(RQ\)|R|Q|L|.", text)
    elements: list[Element] = []
    at = 0
    arcs = 0
    kinds: dict[str, ElementKind] = {"(RQ)": "RQ", "R": "R", "Q": "Q", "L": "L"}
    for token in tokens:
        if token not in kinds:
            raise InputError(
                f"circuit {text!r}: {token!r} is no element", expected="R, Q, L and (RQ) in series: R(RQ)Q"
            )
        kind = kinds[token]
        arcs += kind == "RQ"
        name = {"RQ": f"arc {arcs}", "R": "R0", "Q": "electrode", "L": "lead"}[kind]
        elements.append(Element(kind, name, at))
        at += _SIZE[kind]
    names = [one.name for one in elements]
    if not elements or len(set(names)) != len(names):
        raise InputError(
            f"circuit {text!r}: nothing in it, or R, Q or L twice", expected="one of each, and any number of (RQ)"
        )
    return Circuit(text, tuple(elements))
