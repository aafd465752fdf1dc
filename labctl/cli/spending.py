"""Where the hours of each EXSY procedure went, for results and report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.analysis.spending_results import BlockSpent, FixedGrid, Spending, Spent

if TYPE_CHECKING:
    from labctl.analysis.results import Results, ResultWarning
    from labctl.cli.planning import Checked
    from labctl.run.history import Attempt, History

KINDS: Mapping[str, tuple[str, ...]] = {
    "2D": ("exsy",),
    "T1": ("t1",),
    "1D": ("reference",),
    "settling": ("settle", "line"),
    "ramps": ("ramp",),
    "checks": ("spinning", "tune", "pulse"),
}
"""Roles of steps by kind of work; whatever is left of the time was spent waiting."""


def spendings(run_dir: Path, done: Checked, told: History, results: Results) -> list[Spending]:
    """Return where the hours of each `vt_exsy` went, and, where its protocol says what is wanted, what for.

    An account that cannot be given is left out: it says nothing of the sample.
    """
    found = []
    for prefix, place in _procedures(done).items():
        mine = [one for one in told.attempts if one.step_id.startswith(f"{prefix}/")]
        if not mine:
            continue
        spending = _hours(prefix, mine, told.last_s)
        try:
            spending = _with_information(run_dir, done, place, spending, mine, results)
        except Exception as problem:  # noqa: BLE001 - hours are known whatever a design stumbles over
            results.warnings.append(_not_accounted(prefix, problem))
        found.append(spending)
    return found


def _not_accounted(prefix: str, problem: Exception) -> ResultWarning:
    from labctl.analysis.results import ResultWarning

    return ResultWarning(
        code="not_accounted",
        message=f"what each 2D added could not be told: {type(problem).__name__}: {problem}",
        advice="hours, data and fits are not concerned",
        where=prefix,
    )


def _procedures(done: Checked) -> dict[str, int]:
    """Each ``station/procedure`` that is a `vt_exsy`, and its place in the protocol."""
    counted: dict[tuple[str, str], int] = {}
    found = {}
    for place, procedure in enumerate(done.protocol.model.procedures):
        of = (procedure.wanted.station, procedure.name)
        counted[of] = counted.get(of, 0) + 1
        name = procedure.name if counted[of] == 1 else f"{procedure.name}.{counted[of]}"
        if procedure.exsy is not None:
            found[f"{procedure.wanted.station}/{name}"] = place
    return found


def _hours(prefix: str, mine: list[Attempt], last_s: float) -> Spending:
    ended = {one.step_id: one.ended_s or last_s for one in mine}
    whole_s = max(ended.values()) - min(one.intended_s for one in mine)
    spent = {
        what: sum((one.ended_s or last_s) - one.intended_s for one in mine if one.role in roles)
        for what, roles in KINDS.items()
    }
    spent["waiting"] = max(0.0, whole_s - sum(spent.values()))
    return Spending(
        procedure=prefix,
        hours=whole_s / 3600,
        spent=[Spent(what=what, hours=seconds / 3600) for what, seconds in spent.items() if seconds > 0],
    )


def _with_information(
    run_dir: Path, done: Checked, place: int, spending: Spending, mine: list[Attempt], results: Results
) -> Spending:
    """Add blocks and grid, if the procedure says what is wanted and believed."""
    wanted = done.protocol.model.procedures[place].vt_exsy
    wish = wanted.adapt or wanted.design
    if wish is None or wanted.analysis is None or wish.missing(wanted.analysis.layers):
        return spending
    from labctl.analysis.matrices import exchange_matrices
    from labctl.cli.adapting import question_of
    from labctl.design.accounting import GRID_ROWS, GRID_SCANS, GRID_TMIX_S, account

    station, _, name = spending.procedure.partition("/")
    steps = [step for step in done.plan.steps if step.id.startswith(f"{spending.procedure}/")]
    asked = question_of(done, place, steps)
    sites = done.protocol.model.sample_of(done.protocol.model.procedures[place]).sites
    matrices, _ = exchange_matrices(run_dir, station, name, sites, asked.model.phases)
    ended_s = {one.step_id: one.ended_s for one in mine if one.ended_s is not None}
    matrices = tuple(sorted(matrices, key=lambda one: ended_s.get(one.step_id, math.inf)))
    if not matrices:
        return spending
    T1: dict[float, dict[str, float]] = {}
    for one in results.t1:
        if one.dataset.startswith(f"{spending.procedure}/") and one.T_K is not None and one.T1_se_s < 0.5 * one.T1_s:
            T1.setdefault(one.T_K, {})[one.site] = one.T1_s
    told = account(asked, matrices, T1)
    blocks, before = [], told.before
    last_s = min(one.intended_s for one in mine)
    in_the_end = told.after[-1]
    for matrix, se, without in zip(matrices, told.after, told.without, strict=True):
        attempt = next(one for one in reversed(mine) if one.step_id == matrix.step_id)
        end_s = attempt.ended_s or last_s
        gain = sum(math.log(before[name] / se[name]) for name in se)
        hours = max(end_s - last_s, 1.0) / 3600
        blocks.append(
            BlockSpent(
                dataset=matrix.step_id,
                T_K=matrix.T_K,
                tmix_s=matrix.tmix_s,
                rows=matrix.rows,
                scans=matrix.scans,
                hours=(end_s - attempt.intended_s) / 3600,
                hours_in_all=hours,
                se=dict(se),
                gain=gain,
                loss_without=sum(math.log(without[name] / in_the_end[name]) for name in se),
                gain_per_hour=gain / hours,
            )
        )
        before, last_s = se, end_s
    grid = told.grid
    equal_h = None if grid.seconds_at_equal_se is None else grid.seconds_at_equal_se / 3600
    temperatures_K = sorted({block.T_K for block in grid.blocks})
    return spending.model_copy(
        update={
            "wanted": dict(asked.goal.se),
            "se": {name: se for name, se in told.se.items() if math.isfinite(se)},
            "blocks": blocks,
            "grid": FixedGrid(
                temperatures_K=temperatures_K,
                tmix_s=list(GRID_TMIX_S),
                rows=GRID_ROWS,
                scans=GRID_SCANS,
                hours=grid.seconds / 3600,
                se={name: se for name, se in grid.se.items() if math.isfinite(se)},
                hours_at_equal_se=equal_h,
                ratio=None if equal_h is None else equal_h / spending.hours,
                assumptions=[
                    "computed, not run: a model estimate",
                    f"grid: {len(temperatures_K)} temperatures with {len(GRID_TMIX_S)} mixing times each, {GRID_ROWS}"
                    f" rows of {GRID_SCANS} scans, recycle delay 3 T1, as published studies do",
                    "layered diffusion as stated in the protocol, rates as learnt in the end",
                    "noise, T1 and overheads as in this campaign; lines as wide as in the protocol; no drift",
                    "errors of both from their own data alone; data limited by systematics gain less from more hours",
                ],
            ),
        }
    )
