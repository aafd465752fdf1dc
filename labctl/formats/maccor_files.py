"""A whole test on a Maccor: one export, or the several files of a test that was interrupted and continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from labctl.errors import Finding, InputError
from labctl.formats import battery_data as bdf
from labctl.formats.maccor_export import read_maccor_file
from labctl.formats.maccor_model import MaccorExport, StepRun

FILE = "File / 1"
_ACCUMULATED = (bdf.CHARGED, bdf.DISCHARGED, bdf.CHARGED_WH, bdf.DISCHARGED_WH, bdf.NET)


def read_maccor(
    paths: Path | Sequence[Path], *, time_zone: str | None = None, month_first: bool | None = None
) -> MaccorExport:
    """Return one test from one export, or from its files in any order.

    Files are put in the order of their clocks; the test time of a later one goes on by the clock, or, where its
    clock is not dated, at once. Counters of the tester stay as they are; ours run through.

    Parameters
    ----------
    paths : Path or sequence of Path
    time_zone : str, optional
        Of the tester's PC; with it there is a column of Unix times.
    month_first : bool, optional
        Order of day and month where no file settles it.

    Raises
    ------
    InputError
        As `read_maccor_file`; or the files overlap in time, so that they are no continuation of each other.
    """
    ordered = [paths] if isinstance(paths, Path) else list(paths)
    if not ordered:
        raise InputError("no file to read", expected="at least one Maccor export")
    exports = [read_maccor_file(one, time_zone=time_zone, month_first=month_first) for one in ordered]
    known = {one.month_first for one in exports} - {None}
    if len(known) == 1 and month_first is None and len(exports) > 1:
        settled = next(iter(known))
        exports = [
            one if one.month_first is not None else read_maccor_file(
                one.paths[0], time_zone=time_zone, month_first=settled
            )
            for one in exports
        ]  # fmt: skip
    return exports[0] if len(exports) == 1 else join(exports)


def begins_anew(export: MaccorExport) -> bool:
    """Whether a file counts its records and its test time from the begin, as one of a continued test does."""
    frame = export.frame if export.frame.height else export.impedance
    first_s = float(frame[bdf.TIME][0])
    record = frame[bdf.RECORD][0] if bdf.RECORD in frame.columns else 1
    return first_s < 60.0 and int(record) <= 1


def join(exports: Sequence[MaccorExport]) -> MaccorExport:
    """Return files of one test as one.

    Raises
    ------
    InputError
        Two of them cover the same time.
    """
    dated = all(bdf.CLOCK in one.frame.columns for one in exports)
    ordered = sorted(exports, key=lambda one: one.frame[bdf.CLOCK][0]) if dated else list(exports)
    joined = ordered[0]
    frame = joined.frame.with_columns(pl.lit(1, dtype=pl.Int64).alias(FILE))
    impedance = joined.impedance.with_columns(pl.lit(1, dtype=pl.Int64).alias(FILE))
    runs, warnings = list(joined.runs), [_of(joined, one) for one in joined.warnings]
    for number, one in enumerate(ordered[1:], start=2):
        gap_s, said = _gap(ordered[number - 2], one, dated=dated)
        warnings += [*said, *(_of(one, text) for text in one.warnings)]
        ended = frame.row(frame.height - 1, named=True)
        shift_s = float(ended[bdf.TIME]) + gap_s - float(one.frame[bdf.TIME][0])
        count = int(ended[bdf.STEP_COUNT])
        cycle = int(ended[bdf.CYCLE]) - (1 if _within_cycle(runs, one) else 0)
        moved = one.frame.with_columns(
            pl.col(bdf.TIME) + shift_s,
            pl.col(bdf.STEP_COUNT) + count,
            pl.col(bdf.CYCLE) + cycle,
            *(pl.col(name) + float(ended[name]) for name in _ACCUMULATED),
            pl.lit(number, dtype=pl.Int64).alias(FILE),
        )
        apart = one.impedance.with_columns(pl.col(bdf.TIME) + shift_s, pl.lit(number, dtype=pl.Int64).alias(FILE))
        runs += [replace(run, first=run.first + frame.height, last=run.last + frame.height) for run in one.runs]
        frame = pl.concat([frame, moved], how="diagonal")
        impedance = pl.concat([impedance, apart], how="diagonal")
    return replace(
        joined,
        paths=tuple(path for one in ordered for path in one.paths),
        frame=frame,
        impedance=impedance,
        runs=tuple(runs),
        has_end_codes=all(one.has_end_codes for one in ordered),
        warnings=tuple(warnings),
    )


def _of(export: MaccorExport, text: str) -> str:
    return f"{export.paths[0].name}: {text}"


def _within_cycle(runs: Sequence[StepRun], later: MaccorExport) -> bool:
    """Whether a later file goes on in the cycle: not, if it charges after a discharge."""
    before = [run.direction for run in runs if run.direction]
    after = [run.direction for run in later.runs if run.direction]
    return not (before and after and before[-1] == -1 and after[0] == 1)


def _gap(earlier: MaccorExport, later: MaccorExport, *, dated: bool) -> tuple[float, list[str]]:
    if not dated:
        return 0.0, [f"{later.paths[0].name}: no dates, so that its time goes on at once where the file before ends"]
    ended, begun = earlier.frame[bdf.CLOCK][-1], later.frame[bdf.CLOCK][0]
    gap_s = (begun - ended).total_seconds()
    if gap_s < 0:
        raise InputError(
            findings=(
                Finding(
                    file=str(later.paths[0]), line=later.head.header_line + 1,
                    what=f"begins at {begun}, before {earlier.paths[0].name} ends",
                    value=str(ended), expected="files of one test that follow each other in time",
                ),
            )
        )  # fmt: skip
    return gap_s, [f"{later.paths[0].name}: continues {earlier.paths[0].name} after {gap_s:.0f} s"]
