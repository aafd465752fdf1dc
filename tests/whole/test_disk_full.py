"""The disk is full at every commit of a campaign of three stations, and at every file that labctl writes."""

from __future__ import annotations

import errno
import json
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.whole.crash_points import Turnstile, counted
from tests.whole.three_stations import (
    Campaign,
    Unkilled,
    differences,
    in_a_child,
    left_by,
    quick,
    silently,
    unannounced,
)

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="runs in a forked child"), pytest.mark.pristine]

TRIES = 2
"""How often each commit finds the disk full before somebody frees some space."""


class FullDisk:
    """A disk that is full at each commit, and for all that labctl writes until that commit goes through."""

    def __init__(self, run_dir: Path) -> None:
        self.turnstile = Turnstile(self._is_full, self._refuse)
        self.refused: Counter[int] = Counter()
        self.files_refused = 0
        self.unannounced: set[str] = set()
        self._run_dir = run_dir

    def _is_full(self, number: int, kind: str) -> bool:
        committed = self.turnstile.passed["journal committed"]
        if kind in {"journal commit", "journal to be made"}:
            return self.refused[committed] < TRIES
        return kind in {"labctl file opened", "labctl file torn"} and 0 < self.refused[committed] < TRIES

    def _refuse(self, number: int, kind: str) -> None:
        if not kind.startswith("journal"):
            self.files_refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self.refused[self.turnstile.passed["journal committed"]] += 1
        self.unannounced |= unannounced(self._run_dir)
        raise sqlite3.OperationalError("database or disk is full")


def test_full_at_every_commit(undisturbed: Unkilled, tmp_path: Path) -> None:
    """Nothing is begun that could not be written down, it is said why all waits, and then it goes on by itself."""
    campaign, told = Campaign(tmp_path / "campaign", short=True), tmp_path / "told.json"
    disk = FullDisk(campaign.run_dir)

    def action() -> int:
        codes: list[int] = []
        said = ""
        with quick(), counted(disk.turnstile):
            while 0 not in codes and len(codes) < 10:
                code, more = silently(campaign.goes_on() if codes else campaign.begins())
                codes.append(code)
                said += more
        document = {
            "codes": codes,
            "said": said,
            "left": left_by(campaign.run_dir),
            "refused": [disk.refused[number] for number in range(disk.turnstile.passed["journal committed"])],
            "files": disk.files_refused,
            "unannounced": sorted(disk.unannounced),
        }
        told.write_text(json.dumps(document), encoding="utf-8")
        return codes[-1]

    assert in_a_child(action, tmp_path / "traceback.txt") == 0, (tmp_path / "traceback.txt").read_text("utf-8")
    document = json.loads(told.read_text(encoding="utf-8"))
    assert document["unannounced"] == []
    assert differences(document["left"], undisturbed.left) == []
    assert len(document["refused"]) > 60
    assert set(document["refused"]) == {TRIES}
    assert "cannot be written: database or disk is full" in document["said"]
    assert set(document["codes"][:-1]) <= {1}  # before the plan is agreed there is nothing to wait with
    assert len(document["codes"]) <= 1 + 2 * TRIES
