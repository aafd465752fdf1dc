"""A commissioning stage as a protocol states it: which one it is, what a person sees to, what the run must show.

The stages of each driver, and that a real run needs them all, stand in `labctl.protocol.lab`. Here is what a run must
have shown before somebody may sign for it, and how far a run may go that does not need the stage it is there for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from labctl.protocol.lab import Kelvin
from labctl.protocol.quantity import Quantity, Written, key

Words = Annotated[str, StringConstraints(min_length=3, max_length=200)]
Ohms = Annotated[float, Quantity("ohm", "100 kohm", above="0 ohm", at_most="1e15 ohm")]
Share = Annotated[float, Quantity("percent", "2 %", above="0 %", at_most="50 %")]
Difference = Annotated[float, Quantity("K", "2 K", above="0 K", at_most="100 K", difference=True)]

_HOUR_S = 3600.0


class DummyCell(Written):
    """A resistor parallel to a capacitor: each point of each spectrum, sign and size, against R / (1 + i omega R C)."""

    R_ohm: Ohms = key("R", "of the resistor, as measured")
    C_F: Annotated[float, Quantity("F", "1 nF", above="0 F", at_most="1 F")] = key("C", "of the capacitor, as measured")
    within_percent: Share = key("within", "largest distance of a point, of the modulus expected there")


class KnownResistor(Written):
    """A resistor in series with a small cell: what current adds to the cell's voltage, over the current.

    A resistor alone stands at 0 V, where a procedure of labctl's takes a cell for shorted and pauses.
    """

    R_ohm: Ohms = key("R", "of the resistor, as measured")
    cell_V: Annotated[float, Quantity("V", "1.3 V", at_least="0 V", at_most="10 V")] = key(
        "cell", "voltage of the small cell at rest, as measured"
    )
    within_percent: Share = key("within", "largest deviation")


class Thermometer(Written):
    """T1 of 79Br in KBr as a thermometer: Thurber and Tycko, J. Magn. Reson. 196 (2009) 84."""

    site: str = key("site", "the line of 79Br")
    within_K: Difference = key("within", "largest distance from the temperature the calibration gives")


class EmptyHolder(Written):
    """The empty holder's capacitance and leakage against `open_holder` of the lab file that is signed."""

    within_percent: Share = key("within", "largest deviation of the capacitance")


class Expectation(Written):
    """What the finished run must show; what is left out is not asked. In any case nothing may be lost or damaged."""

    ended: Literal["done", "stopped", "any"] = key(
        "ended",
        "`done`: all was acquired; `stopped`: a fault ended it, and its safe state was read back",
        default="done",
    )
    says: tuple[Words, ...] = key("says", "words that labctl must have said to people on the way", default=())
    lasted_s: Annotated[float, Quantity("s", "12 h", above="0 s", at_most="1000 d")] | None = key(
        "lasted", "instrument time at least", default=None
    )
    undisturbed: bool = key("undisturbed", "no fault, no alarm, no repetition", default=False)
    resumed: bool = key(
        "resumed",
        "labctl was killed and resumed while the instrument worked, and nothing was begun twice",
        default=False,
    )
    hottest_K: Kelvin | None = key("hottest", "no reading of the sensor is above this", default=None)
    overshoot_K: Difference | None = key(
        "overshoot", "no reading of the sensor is further than this above the highest set point", default=None
    )
    dummy_cell: DummyCell | None = key("dummy_cell", "impedance of a known circuit", default=None)
    open_holder: EmptyHolder | None = key("open_holder", "impedance of the empty holder", default=None)
    resistor: KnownResistor | None = key("resistor", "cycling of a known resistor", default=None)
    thermometer: Thermometer | None = key("thermometer", "temperature by T1 of 79Br in KBr", default=None)


class Commissioning(Written):
    """Which stage a protocol carries out."""

    stage: Annotated[str, StringConstraints(min_length=1, max_length=40)] = key(
        "stage", "name of the stage in the lab file"
    )
    part: str = key("part", "where a stage takes several runs: which of them", default="")
    by_hand: Annotated[tuple[Words, ...], Field(max_length=20)] = key(
        "by_hand", "what labctl cannot see: whoever signs stands by each of these", default=()
    )
    expect: Expectation = key("expect", "what the finished run must show", default={})


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRule:
    """What a stage asks of its protocol, and how far that may go.

    Attributes
    ----------
    needs : tuple of str
        Keys of `expect` that must be there.
    parts : mapping
        Runs the stage takes, each with words that labctl must have said in it; empty for one run.
    hottest_K, longest_s : float
        Highest sample temperature and longest plan; None: the hardware limits alone count.
    shortest_s : float
        Least that `lasted` must ask for.
    attended : bool
        Somebody must be present while it runs for real.
    shadow : bool
        Gone through by ``labctl run --shadow``; it cannot be run otherwise before it is signed.
    """

    needs: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    hottest_K: float | None = None
    longest_s: float = 24 * _HOUR_S
    shortest_s: float = 0.0
    attended: bool = True
    shadow: bool = False


_ROOM_K = 273.15 + 40.0
_NIGHT = StageRule(needs=("lasted", "undisturbed"), shortest_s=8 * _HOUR_S, attended=False)
_OVEN: Mapping[str, StageRule] = {
    "independent_cutout": StageRule(needs=("ended", "says", "hottest"), longest_s=12 * _HOUR_S),
    "empty_oven": StageRule(needs=("overshoot",)),
}

RULES: Mapping[str, Mapping[str, StageRule]] = {
    "topspin": {
        "gas_cut_without_rotor": StageRule(shadow=True),
        "dummy_load": StageRule(hottest_K=_ROOM_K, longest_s=6 * _HOUR_S),
        "kbr_attended": StageRule(needs=("thermometer", "overshoot"), longest_s=12 * _HOUR_S),
        "console_killed_in_zg": StageRule(needs=("says",), hottest_K=_ROOM_K, longest_s=6 * _HOUR_S),
        "twelve_hours_40C": StageRule(
            needs=("lasted", "undisturbed", "overshoot"),
            hottest_K=_ROOM_K + 0.5,
            shortest_s=12 * _HOUR_S,
            attended=False,
        ),
        "overnight": _NIGHT,
    },
    "autolab": {
        **_OVEN,
        "rc_dummy_cell": StageRule(needs=("dummy_cell",), hottest_K=_ROOM_K, longest_s=6 * _HOUR_S),
        "open_holder": StageRule(needs=("open_holder",), hottest_K=_ROOM_K, longest_s=6 * _HOUR_S),
        "overnight": _NIGHT,
    },
    "maccor": {
        "resistor": StageRule(needs=("resistor",)),
        "guards_tripped": StageRule(
            parts={
                "over_voltage": "guard: over-voltage",
                "low_voltage": "guard: low voltage",
                "time": "guard: time",
            }
        ),
        "killed_while_running": StageRule(needs=("resumed",)),
    },
    "lakeshore": _OVEN,
    "eurotherm": _OVEN,
}
"""By driver and stage; a driver that is not named here gets `StageRule()`."""


def rule_of(driver: str, stage: str) -> StageRule | None:
    """Return the rule of a stage; None if its driver has stages and this is none of them."""
    stages = RULES.get(driver)
    return StageRule() if stages is None else stages.get(stage)
