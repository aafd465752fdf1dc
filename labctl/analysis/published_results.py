"""What a campaign says of published numbers, and where its hours went, as they stand in ``results.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labctl.analysis.schema import ResultModel

Verdict = Literal["agrees", "differs", "not resolved", "not comparable"]


class Comparison(ResultModel):
    """One published number beside the campaign's own; `why` says what the verdict rests on."""

    figure: str = Field(description="of the publication")
    procedure: str = Field(description="station/procedure it was measured by")
    sample: str = ""
    what: str
    of: str = ""
    unit: str = Field(description="of every number of this entry; empty for a figure without a number")
    relation: Literal["equal", "above", "below", "none", "seen", "shown"] = Field(
        description="of the published statement: a value, a limit, a peak that is not there or is, a figure alone"
    )
    published: float | None = None
    published_se: float | None = Field(default=None, description="null: no error was published")
    published_step: float | None = Field(default=None, description="to which the published value is rounded")
    published_convention: str = ""
    ours: float | None = Field(default=None, description="with `bound`, the 95 % limit (one-sided)")
    ours_se: float | None = Field(default=None, description="of noise, calibration and dimensions; null: not known")
    bound: Literal["lower", "upper"] | None = None
    ours_convention: str = ""
    method: str = Field(default="", description="what the campaign's number comes from")
    n_sigma: float | None = Field(
        default=None, description="difference over the errors of both; null where none is known"
    )
    verdict: Verdict
    why: str = ""


class StationHours(ResultModel):
    """Hours of one station: planned, and by the journal."""

    station: str
    planned_acquiring_h: float
    planned_waiting_h: float = Field(description="temperatures and blackouts")
    planned_tending_h: float = Field(description="tuning, pulse and spinning checks")
    acquiring_h: float
    waiting_h: float
    tending_h: float
    idle_h: float = Field(description="between its first and last step and in none: persons, outages, pauses")
