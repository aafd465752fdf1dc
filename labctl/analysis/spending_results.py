"""Where the hours of an EXSY procedure went, what each 2D added for them, and what a fixed grid would have taken."""

from __future__ import annotations

from pydantic import Field

from labctl.analysis.schema import ResultModel


class Spent(ResultModel):
    """Hours of one kind of work, by the journal."""

    what: str = Field(description="2D, T1, 1D, settling, ramps, checks, waiting")
    hours: float


class BlockSpent(ResultModel):
    """One 2D: its hours, and what is known after it; standard errors are model estimates, as decisions state them."""

    dataset: str
    T_K: float
    tmix_s: float
    rows: int
    scans: int
    hours: float = Field(description="of the acquisition itself")
    hours_in_all: float = Field(description="since the 2D before it ended: ramps, settling, T1 and 1Ds included")
    se: dict[str, float] = Field(description="of each wanted parameter after this 2D, in its own unit")
    gain: float = Field(description="by how much it lowered ln(se), summed over the wanted parameters")
    loss_without: float = Field(description="by how much that sum would be higher in the end without this 2D")
    gain_per_hour: float = Field(description="over hours_in_all")


class FixedGrid(ResultModel):
    """What a fixed grid would have cost: computed, not run."""

    temperatures_K: list[float]
    tmix_s: list[float]
    rows: int
    scans: int
    hours: float = Field(description="of the grid measured once, overheads as planned here")
    se: dict[str, float] = Field(description="it would have left, from its data alone")
    hours_at_equal_se: float | None = Field(
        description="repeated, or cut short, until the worst of the wanted is as good as here; null: not resolved here"
    )
    ratio: float | None = Field(description="of those hours to the hours spent")
    assumptions: list[str]


class Spending(ResultModel):
    """One `vt_exsy`: hours by kind; blocks and grid where its protocol says what is wanted (`adapt`, `design`)."""

    procedure: str = Field(description="station/procedure")
    hours: float = Field(description="from its first step to its last")
    spent: list[Spent]
    wanted: dict[str, float] = Field(default_factory=dict, description="standard error aimed at, by parameter")
    se: dict[str, float] = Field(default_factory=dict, description="reached, from the data alone (model estimate)")
    blocks: list[BlockSpent] = Field(default_factory=list)
    grid: FixedGrid | None = None
