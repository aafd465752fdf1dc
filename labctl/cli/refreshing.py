"""Results and report of a campaign that goes on, made anew as parts of its data come in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

FIRST_s = 60.0
SHARE = 0.05


class Refreshing:
    """Makes results.json and report.html anew when asked, but takes little of the time.

    A cell's cycle lasts hours and gets its report at once. A rehearsal passes a cycle in a moment: its report is made
    at the end, or on the way if that is longer than a minute.

    Parameters
    ----------
    finish : callable
        Makes them, of a run folder.
    first_s, share : float
        Not before so many seconds of this process' life with the campaign [s], and in at most this share of the time.
    """

    def __init__(
        self,
        run_dir: Path,
        finish: Callable[[Path], object],
        *,
        first_s: float = FIRST_s,
        share: float = SHARE,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_dir = run_dir
        self._finish = finish
        self._share = share
        self._now_s = now_s
        self._not_before_s = now_s() + first_s

    def __call__(self) -> bool:
        """Make them anew if it is time; False if not, or if they cannot be made, which is said and harms nothing."""
        began_s = self._now_s()
        if began_s < self._not_before_s:
            return False
        try:
            self._finish(self._run_dir)
        except Exception as problem:  # noqa: BLE001 - a report must never stop what it reports on
            print(f"the report could not be made anew: {type(problem).__name__}: {problem}", file=sys.stderr)
            made = False
        else:
            made = True
        ended_s = self._now_s()
        self._not_before_s = ended_s + (ended_s - began_s) / self._share
        return made
