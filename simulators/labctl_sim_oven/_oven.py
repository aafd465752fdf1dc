"""The oven and its loop on the controller's sampling grid, and what may go wrong with heater, door and sensor.

Time passes in whole sampling intervals counted from the moment the oven was made. What a temperature is depends on
when something was changed, never on how often somebody looked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from labctl_sim_oven._physics import Nodes, Thermal, after, keyed_normal, propagator
from labctl_sim_oven._regulator import Gains, Regulator, regulated, walked

SAMPLING_s = 2.0


def plain_of(item: Any) -> dict[str, Any]:
    """Return the fields of a flat dataclass with slots (`asdict` copies deeply, and states are written often)."""
    return {name: getattr(item, name) for name in item.__slots__}


@dataclass(slots=True)
class Ailments:
    """What is wrong with the oven at present.

    `welded_percent`: power that flows whatever the loop wants (a relay that stuck closed); None: the relay works.
    """

    welded_percent: float | None = None
    heater_open: bool = False
    door_open: bool = False
    sensor_broken: bool = False
    sensor_stale_K: float | None = None
    extra_noise_K: float = 0.0
    unpowered: bool = False


class Oven:
    """One oven: thermal nodes, loop, ailments.

    Parameters
    ----------
    born_s : float
        When it was made, at ambient temperature [s].
    on_sampling : callable
        The controller's own look at its sensor in each interval (a limit that trips); may change `regulator`. Returns
        whether it looked: what it reads is another draw of noise each time, so none of its looks may be left out.
    """

    def __init__(
        self,
        thermal: Thermal,
        gains: Gains,
        *,
        seed: int,
        born_s: float,
        regulator: Regulator,
        on_sampling: Callable[[], bool] = lambda: False,
    ) -> None:
        self.thermal = thermal
        self.gains = gains
        self.born_s = born_s
        self.nodes = Nodes.all_at(thermal.ambient_K)
        self.regulator = regulator
        self.ailments = Ailments()
        self.heater_range = 1.0
        """Share of the heater's power that 100 % output is."""
        self._seed = seed
        self._on_sampling = on_sampling
        self._samplings = 0

    @property
    def now_s(self) -> float:
        """When the loop last sampled."""
        return self.born_s + self._samplings * SAMPLING_s

    def advance(self, to_s: float) -> None:
        """Live through every sampling up to `to_s`.

        An oven that has cooled down comes, within a day, to temperatures whose next ones are the same to the last
        bit; from there to `to_s` is one step, however many weeks that are.
        """
        last = math.floor((to_s - self.born_s) / SAMPLING_s + 1e-9)
        if last <= self._samplings:
            return
        thermal, ailments = self.thermal, self.ailments
        rows = propagator(thermal, SAMPLING_s, door_open=ailments.door_open)
        for number in range(self._samplings + 1, last + 1):
            nodes, regulator, looked = self.nodes, self.regulator, False
            self.nodes = after(nodes, self.power(), rows)
            self._samplings = number
            if not ailments.unpowered:
                self.regulator = regulated(walked(regulator, SAMPLING_s), self._felt_K(), SAMPLING_s, self.gains)
                looked = self._on_sampling()
            rests = self.nodes.chamber_K == nodes.chamber_K and self.nodes == nodes and self.regulator == regulator
            if rests and not looked:
                self._samplings = last
                return

    def power(self) -> float:
        """Return the power that really flows, 0 to 1."""
        ailments = self.ailments
        if ailments.heater_open:
            return 0.0
        if ailments.welded_percent is not None:
            return max(ailments.welded_percent, self._driven_percent()) / 100.0
        return self._driven_percent() / 100.0

    def _driven_percent(self) -> float:
        return 0.0 if self.ailments.unpowered else self.regulator.output_percent * self.heater_range

    def _felt_K(self) -> float:
        """What the loop takes for the temperature: without the noise, which its own filter removes."""
        stale_K = self.ailments.sensor_stale_K
        if self.ailments.sensor_broken:
            return self.thermal.hottest_K() + 500.0  # upscale burn-out: the loop backs off
        return self.nodes.sensor_K if stale_K is None else stale_K

    def sensor_K(self) -> float:
        """Return what the sensor reads, with the noise of this sampling."""
        if self.ailments.sensor_stale_K is not None:
            return self.ailments.sensor_stale_K
        sigma_K = math.hypot(self.thermal.noise_K, self.ailments.extra_noise_K)
        return self.nodes.sensor_K + sigma_K * keyed_normal(self._seed, "sensor", self._samplings)

    def sample_K(self) -> float:
        """Return the temperature of the sample, which no controller knows exactly."""
        return self.nodes.sample_K

    def sample_sensor_K(self) -> float:
        """Return what a second sensor at the cell reads."""
        return self.nodes.sample_K + self.thermal.noise_K * keyed_normal(self._seed, "cell", self._samplings)

    def restless(self) -> bool:
        """Whether temperatures are on their way somewhere, or something is wrong."""
        ailing = self.ailments != Ailments()
        if self.regulator.mode == "off":
            return ailing or self.nodes.chamber_K > self.thermal.ambient_K + 5.0
        return ailing or abs(self.nodes.chamber_K - self.regulator.working_K) > 0.3 or self.regulator.ramping

    def set(self, **changes: Any) -> None:
        """Change the loop (fields of `Regulator`) from now on."""
        self.regulator = replace(self.regulator, **changes)

    # ---------------------------------------------------------------------------------------- state

    def plain(self) -> dict[str, Any]:
        """Return plain data for the state on disk."""
        return {
            "born_s": self.born_s,
            "samplings": self._samplings,
            "nodes": plain_of(self.nodes),
            "regulator": plain_of(self.regulator),
            "ailments": plain_of(self.ailments),
            "heater_range": self.heater_range,
        }

    def take_up(self, data: dict[str, Any]) -> None:
        """Go on from plain data."""
        self.born_s, self._samplings = data["born_s"], data["samplings"]
        self.nodes, self.regulator = Nodes(**data["nodes"]), Regulator(**data["regulator"])
        self.ailments, self.heater_range = Ailments(**data["ailments"]), data["heater_range"]
