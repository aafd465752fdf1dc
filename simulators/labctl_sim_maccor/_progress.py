"""What a channel knows of its test: what the start gave, how far it has come, what is measured at one tick of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Channel safety (6,10); 0 W: none."""

    VSafeMax: float
    VSafeMin: float
    ISafeChg: float
    ISafeDis: float
    PBatSafeChg: float = 0.0
    PBatSafeDis: float = 0.0


@dataclass(slots=True, kw_only=True)
class Test:
    """What a start gave, and how far the test has come."""

    __test__ = False  # of the tester's, not pytest's

    test_name: str
    proc_name: str
    comment: str
    crate_Ah: float
    mass_g: float
    started_s: float
    description: str = ""
    base_s: float = 0.0  # wall time of `base_ticks`
    base_ticks: int = 0
    anchor: int = 0  # test ticks at which the stretch began
    step: int = 1
    step_began: int = 0  # test ticks
    begun: bool = False  # the step's first record is taken
    current_A: float = 0.0
    holding: bool = False
    capacity_Ah: float = 0.0
    energy_Wh: float = 0.0
    direction: int = 0
    cycle: int = 0
    half_cycle: int = 1
    loops: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    variables: list[float] = field(default_factory=lambda: [0.0] * 15)
    records: int = 0
    written_bytes: int = 0
    exported: int = 0
    exported_bytes: int = 0
    reported_ticks: int = 0
    reported_V: float = 0.0
    reported_A: float = 0.0
    ends: int = 0
    end_reached: int = 0
    direct: bool = False
    direct_at_s: float = -math.inf


class Moment(NamedTuple):
    """What a channel measures at one tick."""

    ticks: int
    volts: float
    amps: float
    capacity_Ah: float
    energy_Wh: float
