"""Lines of the terminal about the published kind of analysis, set apart from labctl's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.analysis.paper_results import PaperMode


def paper_lines(paper: PaperMode) -> Iterator[str]:
    """Yield a heading, one line per pair, and the bias; none of them is a result of the campaign."""
    from labctl.report.numbers import plus_minus

    yield f"{paper.label}, for comparison only ({paper.model}; boxes of +-{paper.half_width_Hz:.3g} Hz):"
    for one in paper.pairs:
        found = "no Ea" if one.Ea_eV is None else f"Ea = {plus_minus(one.Ea_eV, one.Ea_se_eV, 'eV')}"
        fits = f"{'misfits' if one.misfits else 'fits'}, rms {100 * one.rms_of_plateau:.1f} % of the plateau"
        yield f"  {'-'.join(one.pair)} from {one.intensities}: {found}, {fits}"
    for text in paper.warnings:
        yield f"  warning: {text}"
    for text in paper.bias:
        yield f"  bias: {text}"
    for heights in paper.heights[:1]:  # the other temperatures say much the same, and stand in results.json
        yield from (f"  bias: {text}" for text in heights.bias)
