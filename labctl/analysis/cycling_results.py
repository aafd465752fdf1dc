"""Cycling in ``results.json``: every cycle with why its halves ended, and what holds over all of them.

Charge per gram is there only where mass and basis were stated, and the basis stands beside it. `se` is null where
nobody stated an accuracy of the current: the numbers then have no known error, which is not the same as none. What the
mass is wrong by moves all specific capacities of a cell together, so it stands apart, as `se_mass`, and enters neither
efficiency nor retention.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labctl.analysis.schema import ResultModel


class CyclingCurve(ResultModel):
    """Voltage against charge of one half-cycle, thinned."""

    Q_mAh: list[float]
    V: list[float]


class CyclingHalf(ResultModel):
    """One charge or discharge."""

    Q_mAh: float = Field(description="by the cycler's counter, restarts accounted for")
    Q_se_mAh: float | None = Field(default=None, description="of the current range's accuracy; null: not stated")
    Q_integrated_mAh: float = Field(description="by the trapezoidal rule between rows: the check of Q_mAh")
    Q_mAh_per_g: float | None = None
    Q_se_mAh_per_g: float | None = Field(default=None, description="of the current alone")
    Q_se_mass_mAh_per_g: float | None = Field(
        default=None, description="of the mass alone: the same share in all cycles of the cell. null: not stated"
    )
    E_mWh: float
    mean_V: float | None = Field(default=None, description="energy over charge")
    current_mA: float
    current_density_mA_per_cm2: float | None = None
    rate_of_set_per_h: float | None = Field(default=None, description="C-rate against the capacity set")
    rate_of_theory_per_h: float | None = Field(default=None, description="C-rate against the basis' theory")
    begin_s: float
    duration_s: float
    end_code: int | None = Field(default=None, description="Maccor's code; 136 is capacity. null: running or unknown")
    end: str = Field(description="the code in words")
    begun_before: bool = Field(default=False, description="began before the data do: its charge is a lower bound")
    line: int = Field(description="of its first row in the export")
    counters: dict[str, int] = Field(default_factory=dict, description="the vendor's own, as exported")
    curve: CyclingCurve | None = None


class CyclingCycle(ResultModel):
    """A charge and the discharge after it; either may be missing at the ends of the data."""

    cycle: int = Field(description="from 1 by direction of current, charge first; 0: a discharge before any charge")
    charge: CyclingHalf | None = None
    discharge: CyclingHalf | None = None
    Q_set_mAh: float | None = Field(default=None, description="capacity at which its charge was meant to end")
    CE: float | None = Field(default=None, description="Q discharged over Q charged, both realised")
    CE_se: float | None = Field(default=None, description="of the current's offset; gain cancels. null: not stated")
    CE_nominal: float | None = Field(
        default=None, description="Q discharged over Q set; only where the charge ended by capacity (136)"
    )
    polarisation_V: float | None = Field(default=None, description="mean charge less mean discharge voltage, equal Q")
    retention: float | None = Field(
        default=None, description="Q discharged over that of the cycle retention refers to; alike charges only"
    )
    plateau_V: float | None = Field(default=None, description="mean voltage of the charge over the plateau window")
    overpotential_V: float | None = Field(default=None, description="plateau less the stated equilibrium")
    counts: bool = Field(description="in the averages")
    flags: list[str] = Field(default_factory=list, description="why not, or what to know")


class CyclingSummary(ResultModel):
    """What holds over the cycles that count."""

    cycles: int
    counted: int
    left_out: list[int] = Field(default_factory=list, description="cycles not in the averages")
    charge_ends: Literal["capacity", "limits", "unknown"] = Field(
        description="capacity: only charges that ended with 136 count; limits: any end a procedure asks for"
    )
    Q_set_mAh: float | None = Field(default=None, description="of the last cycle, and of all that are alike to it")
    Q_set_mAh_per_g: float | None = None
    alike: int = Field(default=0, description="cycles that count and were charged as far as the last: see the means")
    CE_mean: float | None = None
    CE_mean_se: float | None = Field(default=None, description="scatter of the cycles over sqrt(n), not accuracy")
    CE_mean_se_current: float | None = Field(
        default=None, description="of the current's offset, which moves all cycles together: more of them do not help"
    )
    CE_scatter: float | None = Field(default=None, description="standard deviation between cycles")
    CE_min: float | None = None
    CE_last: float | None = None
    Q_charge_mean_mAh: float | None = Field(default=None, description="of the cycles that are alike")
    Q_discharge_mean_mAh: float | None = Field(default=None, description="of the cycles that are alike")
    Q_discharge_scatter_mAh: float | None = Field(default=None, description="standard deviation between those")
    Q_discharge_mean_se_current_mAh: float | None = Field(
        default=None, description="of the current's offset, which moves all cycles together"
    )
    Q_discharge_mean_mAh_per_g: float | None = None
    Q_discharge_mean_se_mass_mAh_per_g: float | None = Field(default=None, description="of the mass alone")
    retention_cycle: int | None = Field(default=None, description="cycle that retention refers to")
    retention_last: float | None = None
    activation_plateau_V: float | None = Field(default=None, description="of the first charge")
    plateau_window: list[float] = Field(default_factory=list, description="fractions of the charge's capacity")
    plateau_window_of: str = ""
    equilibrium_V: float | None = None
    overpotential_V: float | None = None
    reference: str = ""
    reference_offset_V: float | None = Field(default=None, description="added to give volts against Li/Li+")
    plateau_V_vs_Li: float | None = None
    polarisation_mean_V: float | None = None
    throughput_mAh: float = Field(description="charge moved in both directions, all cycles")
    excess_charge_mAh: float = Field(description="charged less discharged, all cycles")


class CyclingCell(ResultModel):
    """One cell's test."""

    cell: str
    dataset: str
    paths: list[str]
    test: str = ""
    procedure: str = ""
    completeness: Literal["complete", "partial", "failed"] = Field(
        default="complete", description="partial: the test goes on, or was ended early"
    )
    mass_mg: float | None = None
    mass_se_mg: float | None = None
    mass_basis: str = ""
    electrode_area_cm2: float | None = None
    current_se_A: float | None = None
    time_unit: str
    proven_by: str = Field(description="what proves the time unit: charge, clock, both, or nothing")
    capacity_over_integral: float | None = None
    restarts: str = Field(description="when the exported capacity column restarts")
    cycles: list[CyclingCycle]
    summary: CyclingSummary
    warnings: list[str] = Field(default_factory=list)


class Cycling(ResultModel):
    """Everything cycled."""

    cells: list[CyclingCell] = Field(default_factory=list)
