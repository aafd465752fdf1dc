"""What a 2D that is still being acquired tells already, and whether the rest of it is worth its time.

The rows of a 2D come in increasing t1, and amplitudes are read by least squares on known lines: from the first rows
that tell the lines apart any beginning of it is a usable 2D, and the last rows, in which the lines have decayed, tell
little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labctl.analysis.grouping import SAME_TEMPERATURE_K
from labctl.analysis.matrices import ExchangeMatrix
from labctl.design.ask import Question
from labctl.design.encoding import LEAST_ROWS, Encoding
from labctl.design.follow import informed, stated
from labctl.design.learn import learn
from labctl.design.model import standard_errors

SHARE = 0.9
"""Part of the information of a 2D, 1 / variance of its amplitudes, from which on it may be ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What is known while a 2D goes on.

    Attributes
    ----------
    wanted : tuple of (str, float, float)
        Name, value and standard error of each wanted energy [eV], the rows so far included.
    share : float
        Information of the rows so far over that of the whole 2D: 1 / variance of an amplitude, of the site that lacks
        most. It depends on the lines alone, not on what is believed.
    enough : str
        Why the rest is not worth its time; empty where it is.
    """

    wanted: tuple[tuple[str, float, float], ...]
    share: float
    enough: str

    def words(self, rows: int, asked: int) -> str:
        """Return what people are told."""
        told = ", ".join(f"{name} {value:.3g} ± {se:.2g} eV" for name, value, se in self.wanted)
        return f"{rows} of {asked} rows: {told} so far (model estimate), {100 * self.share:.0f} % of its information"


def least_rows(encoding: Encoding) -> int:
    """Return from how many rows on a 2D tells its lines apart and still shows a wrong shape: t1 of 1/(2 gap)."""
    shortest_s, _ = encoding.lines.t1_limits_s()
    return max(LEAST_ROWS, 2 * int(np.ceil(shortest_s / encoding.increment_s)))


def live(
    asked: Question,
    matrices: Sequence[ExchangeMatrix],
    part: ExchangeMatrix,
    rows_asked: int,
    measured_T1: Mapping[float, Mapping[str, float]],
) -> Live:
    """Return what the rows of `part` add to the 2Ds that are complete.

    The first 2D of a temperature is never to be ended: its lines serve all that follow there.

    Parameters
    ----------
    part : ExchangeMatrix
        As read from the rows so far; `matrices` do not hold it.
    rows_asked : int
        Of the whole 2D.
    """
    asked, seen = informed(asked, [*matrices, part], measured_T1)
    model = asked.model
    now, at = learn(model, asked.belief, seen), seen[-1].block
    wanted = [now.names.index(name) for name in asked.goal.se]
    few, whole = model.encoding.source_variance(at.rows), model.encoding.source_variance(rows_asked)
    share = float((whole / few).min())
    se = standard_errors(stated(asked, now, seen)[0])[wanted]  # as the decision behind the whole 2D states it
    limits = np.array(list(asked.goal.se.values()))
    enough = ""
    shapes_known = any(abs(one.T_K - at.T_K) < SAME_TEMPERATURE_K and one.rows >= rows_asked for one in matrices)
    if shapes_known and at.rows >= least_rows(model.encoding):
        if np.all(se <= limits):
            enough = "every wanted error is reached"
        elif share >= SHARE:
            enough = f"the rows to come hold {100 * (1 - share):.0f} % of it"
    return Live(
        wanted=tuple(
            (name, float(now.mean[index]), float(one))
            for name, index, one in zip(asked.goal.se, wanted, se, strict=True)
        ),
        share=share,
        enough=enough,
    )
