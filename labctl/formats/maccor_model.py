"""A test on a Maccor as its export tells it, and what was proven of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from labctl.formats.maccor_head import ExportHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What was concluded from a file, and what bears it out.

    Attributes
    ----------
    time_unit, time_proof : str
        ``s``, ``min`` or ``h``; ``charge``, ``clock``, both, or empty where the header's word was all there was.
    capacity_ratio, energy_ratio : float or None
        Column over integral; None where no charge moved, or there is no such column.
    current : str
        ``signed``, ``magnitude`` or ``not told apart``.
    answers : int
        Changes of current that the voltage answered in their direction.
    restarts : str
        When the capacity column restarts: ``every step``, ``direction change``, ``never``, ``irregular``,
        ``not told apart`` (both readings then agree).
    voltage_factor : float
        Volts per unit of the voltage column.
    assumed : tuple of str
        Units that neither the header nor a proof gives.
    """

    time_unit: str
    time_proof: str
    capacity_ratio: float | None
    energy_ratio: float | None
    current: str
    answers: int
    restarts: str
    voltage_factor: float
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One pass of one step.

    Attributes
    ----------
    first, last : int
        Rows of `MaccorExport.frame`.
    line : int
        Line of the first row in its file.
    direction : int
        1 charge, -1 discharge, 0 neither.
    end_code : int or None
        Code (128 and above) with which the step ended; None while it runs, or where the file has no codes.
    capacity_Ah, energy_Wh : float
        By the tester's own counters, from the begin of the step; by integration where there are none.
    integrated_Ah, integrated_Wh : float
        Between first and last row, by the trapezoidal rule.
    begun_before : bool
        Whether the step began before the file's first row.
    """

    first: int
    last: int
    line: int
    step: int
    state: str
    direction: int
    end_code: int | None
    capacity_Ah: float
    energy_Wh: float
    integrated_Ah: float
    integrated_Wh: float
    begun_before: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaccorExport:
    """One test as its export tells it.

    Attributes
    ----------
    frame : DataFrame
        One row a record, impedance rows apart; columns of `labctl.formats.battery_data`.
    impedance : DataFrame
        Rows of state FRA, which stand still on the time axis.
    runs : tuple of StepRun
    """

    paths: tuple[Path, ...]
    head: ExportHead
    frame: pl.DataFrame
    impedance: pl.DataFrame
    runs: tuple[StepRun, ...]
    proofs: Proofs
    has_end_codes: bool
    month_first: bool | None
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the test is called: by its head, else the file's name."""
        return self.head.values.get("test", "").replace("\\", "/").rsplit("/", 1)[-1] or self.paths[0].name
