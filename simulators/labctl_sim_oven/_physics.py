"""Heater block, chamber and sample: three nodes that exchange heat, and a sensor that lags. Pure.

::

    C_h dh/dt = P u - (h - a)/R_ha
    C_a da/dt = (h - a)/R_ha - (a - T_ambient)/R_loss - (a - s)/R_as
    C_s ds/dt = (a - s)/R_as
    tau dp/dt = a - p

h heater block, a chamber with the controller's sensor, s sample holder, p what the sensor element has; u is the
heater's power from 0 to 1. The equations are linear, so one stride of constant power is one matrix product, exact for
any length.
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """The oven: power [W], heat capacities [J/K], thermal resistances [K/W], times [s].

    Defaults: a bench oven with 1 kg of pressure cell in it. Full power gives 5 K/min at room temperature and 200 °C in
    the end; the heater block is 1 min behind the power, the sample 15 min behind the chamber.
    """

    power_W: float = 600.0
    heater_J_per_K: float = 600.0
    chamber_J_per_K: float = 6600.0
    sample_J_per_K: float = 500.0
    heater_to_chamber_K_per_W: float = 0.1
    loss_K_per_W: float = 0.3
    sample_to_chamber_K_per_W: float = 1.8
    sensor_s: float = 5.0
    ambient_K: float = 295.15
    door_loss_K_per_W: float = 0.03
    """Takes the place of the loss while the door is open."""
    noise_K: float = 0.02
    """Standard deviation of one reading."""

    def hottest_K(self) -> float:
        """Return where full power leads in the end."""
        return self.ambient_K + self.power_W * self.loss_K_per_W


@dataclass(frozen=True, slots=True)
class Nodes:
    """Temperatures [K] of heater block, chamber, sample and sensor element."""

    heater_K: float
    chamber_K: float
    sample_K: float
    sensor_K: float

    @classmethod
    def all_at(cls, temperature_K: float) -> Nodes:
        """Return an oven that has been left alone for a day."""
        return cls(temperature_K, temperature_K, temperature_K, temperature_K)

    def moved(self, by_K: float) -> Nodes:
        """Return the nodes with the air exchanged for air `by_K` warmer (somebody opened the door)."""
        return Nodes(self.heater_K, self.chamber_K + by_K, self.sample_K, self.sensor_K)


NODES = len(fields(Nodes))

Row = tuple[float, ...]


@functools.lru_cache(maxsize=64)
def propagator(thermal: Thermal, dt_s: float, *, door_open: bool = False) -> tuple[Row, ...]:
    """Return the rows (four) that carry (h, a, s, p, u, 1) over `dt_s`; exact while u stays what it is."""
    loss_K_per_W = thermal.door_loss_K_per_W if door_open else thermal.loss_K_per_W
    between, loss = 1.0 / thermal.heater_to_chamber_K_per_W, 1.0 / loss_K_per_W
    sample = 1.0 / thermal.sample_to_chamber_K_per_W
    c_h, c_a, c_s, tau_s = thermal.heater_J_per_K, thermal.chamber_J_per_K, thermal.sample_J_per_K, thermal.sensor_s
    rates = [
        [-between / c_h, between / c_h, 0.0, 0.0, thermal.power_W / c_h, 0.0],
        [between / c_a, -(between + loss + sample) / c_a, sample / c_a, 0.0, 0.0, loss * thermal.ambient_K / c_a],
        [0.0, sample / c_s, -sample / c_s, 0.0, 0.0, 0.0],
        [0.0, 1.0 / tau_s, 0.0, -1.0 / tau_s, 0.0, 0.0],
        [0.0] * 6,
        [0.0] * 6,
    ]
    return tuple(tuple(row) for row in _exponential(rates, dt_s)[:NODES])


def after(nodes: Nodes, power: float, rows: tuple[Row, ...]) -> Nodes:
    """Return the nodes one stride later, the heater at `power` (0 to 1) all the while."""
    h, a, s, p = nodes.heater_K, nodes.chamber_K, nodes.sample_K, nodes.sensor_K
    to_h, to_a, to_s, to_p = rows  # written out: campaigns live through hundreds of thousands of strides
    return Nodes(
        to_h[0] * h + to_h[1] * a + to_h[2] * s + to_h[3] * p + to_h[4] * power + to_h[5],
        to_a[0] * h + to_a[1] * a + to_a[2] * s + to_a[3] * p + to_a[4] * power + to_a[5],
        to_s[0] * h + to_s[1] * a + to_s[2] * s + to_s[3] * p + to_s[4] * power + to_s[5],
        to_p[0] * h + to_p[1] * a + to_p[2] * s + to_p[3] * p + to_p[4] * power + to_p[5],
    )


def keyed_normal(*key: object) -> float:
    """Return one draw of a standard normal that depends on nothing but `key`."""
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode("utf-8"), digest_size=16).digest()
    u = (int.from_bytes(digest[:8], "big") + 1) / (2.0**64 + 1)
    v = int.from_bytes(digest[8:], "big") / 2.0**64
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)


def _exponential(rates: list[list[float]], dt_s: float) -> list[list[float]]:
    """Return exp(rates * dt) by Taylor's series of a small enough part, squared back up."""
    size = len(rates)
    largest = max(sum(abs(rate) for rate in row) for row in rates) * dt_s
    squarings = max(0, math.ceil(math.log2(largest)) + 4) if largest > 0.0 else 0
    part = [[rate * dt_s / 2.0**squarings for rate in row] for row in rates]
    identity = [[float(i == j) for j in range(size)] for i in range(size)]
    result, term = identity, identity
    for order in range(1, 16):
        term = [[value / order for value in row] for row in _product(term, part)]
        result = [[x + y for x, y in zip(one, other, strict=True)] for one, other in zip(result, term, strict=True)]
    for _ in range(squarings):
        result = _product(result, result)
    return result


def _product(left: list[list[float]], right: list[list[float]]) -> list[list[float]]:
    columns = list(zip(*right, strict=True))
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in left]
