"""What the hours of an EXSY campaign went into and what they told, as tables of text for the page."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.analysis.results import Results
from labctl.analysis.spending_results import BlockSpent, FixedGrid, Spending
from labctl.units import duration_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One procedure in words and numbers.

    Attributes
    ----------
    spent : tuple of (str, str, float)
        Kind of work, hours, and its share of all in percent.
    wanted : tuple of str
        Parameters whose standard errors head the columns of `blocks`.
    blocks : tuple of tuple of str
        Dataset, temperature, mixing time, rows x scans, hours, hours in all, each standard error, gain per hour, what
        would be lost without it.
    grid : tuple of str
        Sentences; empty where no grid was reckoned.
    """

    procedure: str
    hours: str
    spent: tuple[tuple[str, str, float], ...]
    wanted: tuple[str, ...]
    blocks: tuple[tuple[str, ...], ...]
    grid: tuple[str, ...]
    assumptions: tuple[str, ...]


def accounts(results: Results) -> list[Account]:
    """Return the account of each procedure."""
    return [_account(one) for one in results.spending]


def _account(one: Spending) -> Account:
    return Account(
        procedure=one.procedure,
        hours=f"{one.hours:.1f}",
        spent=tuple((part.what, f"{part.hours:.2f}", 100 * part.hours / max(one.hours, 1e-9)) for part in one.spent),
        wanted=tuple(_named(name) for name in one.wanted),
        blocks=tuple(_block(block, tuple(one.wanted)) for block in one.blocks),
        grid=_grid(one, one.grid) if one.grid is not None else (),
        assumptions=tuple(one.grid.assumptions) if one.grid is not None else (),
    )


def _block(block: BlockSpent, wanted: tuple[str, ...]) -> tuple[str, ...]:
    return (
        block.dataset,
        f"{block.T_K - 273.15:.1f} °C",
        duration_text(block.tmix_s),
        f"{block.rows} × {block.scans}",
        f"{block.hours:.2f}",
        f"{block.hours_in_all:.2f}",
        *(_error(name, block.se[name]) for name in wanted),
        f"{block.gain_per_hour:.3f}",
        f"{block.loss_without:.3f}",
    )


def _grid(one: Spending, grid: FixedGrid) -> tuple[str, ...]:
    count = len(grid.temperatures_K) * len(grid.tmix_s)
    errors = ", ".join(f"{_named(name)} ± {_error(name, se)}" for name, se in grid.se.items())
    here = ", ".join(f"{_named(name)} ± {_error(name, se)}" for name, se in one.se.items())
    lines = [
        f"A fixed grid of {count} 2Ds would have taken {grid.hours:.0f} h and left {errors or 'nothing resolved'}; "
        f"this campaign took {one.hours:.1f} h and left {here or 'nothing resolved'} (both by their data alone)."
    ]
    if grid.hours_at_equal_se is not None and grid.ratio is not None:
        lines.append(
            f"At equal standard error the grid takes {grid.hours_at_equal_se:.0f} h: {grid.ratio:.1f} times as long."
        )
    else:
        lines.append("No ratio of hours is told: not every wanted error is resolved.")
    return tuple(lines)


def _named(parameter: str) -> str:
    """``Ea_eV Li2S`` as people write it."""
    return parameter.replace("Ea_eV", "Ea").replace("ln kD", "ln k_D")


def _error(name: str, value: float) -> str:
    return f"{1000 * value:.1f} meV" if name.startswith("Ea_eV") else f"{value:.3g}"
