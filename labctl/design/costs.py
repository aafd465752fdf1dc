"""Hours: what a 2D, another 2D and another temperature take on the instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labctl.design.model import Block
from labctl.plan.cost import SCAN_OVERHEAD_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Everything a campaign spends time on.

    Attributes
    ----------
    increment_s : float
        t1 step; the mean t1 of a row follows from it.
    per_scan_s : float
        AQ and what the console needs beside the delays.
    dummy_scans : int
        Before each 2D.
    per_dataset_s : float
        Beside each 2D: 1Ds, checks.
    per_temperature_s : mapping
        By temperature [K]: ramp, settling, prompts, pulse check, T1.
    once_s : float
        Spin-up checks, return to the first temperature, cooling.
    """

    increment_s: float
    per_scan_s: float = SCAN_OVERHEAD_S
    dummy_scans: int = 0
    per_dataset_s: float = 0.0
    per_temperature_s: Mapping[float, float] = field(default_factory=dict)
    once_s: float = 0.0

    def scan_s(self, block: Block) -> float:
        """Return the time of one transient, t1 on average [s]."""
        mean_t1_s = self.increment_s * (block.rows // 2 - 1) / 2
        return block.recycle_delay_s + block.tmix_s + mean_t1_s + self.per_scan_s

    def dataset_s(self, block: Block) -> float:
        """Return the time of one 2D with all that belongs to it [s]."""
        return (block.transients + self.dummy_scans) * self.scan_s(block) + self.per_dataset_s

    def total_s(self, blocks: Sequence[Block]) -> float:
        """Return the time of a campaign that visits each temperature once [s]."""
        temperatures = {block.T_K for block in blocks}
        visits = sum(self.per_temperature_s.get(T_K, 0.0) for T_K in temperatures)
        return self.once_s + visits + sum(map(self.dataset_s, blocks))
