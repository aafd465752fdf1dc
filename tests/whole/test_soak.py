"""Processes that run three stations are killed by SIGKILL at random, and started again, until the campaign is done."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.whole.three_stations import Campaign, Unkilled, problems, quick, resumed, silently

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="runs in forked children"), pytest.mark.pristine]

STEPS = 12
"""About how many lives a campaign that is killed at random gets."""


class Life(Protocol):
    """One process of labctl."""

    rel: float
    """By what part of themselves the numbers may be others than those of the campaign that nobody killed."""

    def __init__(self, command: list[str]) -> None: ...

    def ended_within(self, seconds: float) -> bool:
        """Wait until it ends, and return whether it did."""
        ...

    def kill(self) -> None:
        """SIGKILL."""
        ...


class Forked:
    """A process forked from this one, with everything imported."""

    rel = 0.0

    def __init__(self, command: list[str]) -> None:
        self._process = multiprocessing.get_context("fork").Process(target=self._live, args=(command,))
        self._process.start()

    @staticmethod
    def _live(command: list[str]) -> None:
        with quick(results=False):
            code, said = silently(command)
        assert code == 0, said

    def ended_within(self, seconds: float) -> bool:
        self._process.join(seconds)
        return self._process.exitcode is not None

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


class Started:
    """A process as a person starts it."""

    rel = 1e-5  # of the rotor's jitter, which is not switched off

    def __init__(self, command: list[str]) -> None:
        program = [sys.executable, "-c", "from labctl.cli import main; main()", *command]
        self._process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def soak(folder: Path, kills: int, seed: int, kind: type[Life], expected: dict[str, Any]) -> dict[int, list[str]]:
    """Kill until there were so many kills and the last campaign is done; return what was wrong, by campaign."""
    chance, wrong, killed, number = random.Random(seed), {}, 0, 0
    began_s = time.monotonic()
    whole = kind(Campaign(folder / "timed", short=True).begins())
    assert whole.ended_within(600.0)
    length_s = time.monotonic() - began_s  # on this machine, as busy as it is
    while killed < kills:
        number += 1
        campaign = Campaign(folder / f"campaign{number}", short=True)
        for _ in range(4 * STEPS):
            life = kind(campaign.goes_on())
            if killed >= kills or life.ended_within(chance.uniform(0.0, 3.0 * length_s / STEPS)):
                break
            life.kill()
            killed += 1
        assert life.ended_within(600.0)
        end = resumed(campaign, results=False)  # it is done: this only looks and verifies
        if found := problems(end, expected, rel=kind.rel):
            wrong[number] = found
        shutil.rmtree(campaign.folder)
    return wrong


def test_killed_at_random(undisturbed: Unkilled, tmp_path: Path) -> None:
    """Twenty kills at moments nobody chose: nothing is lost, nothing repeated, the raw data are the same bytes."""
    assert soak(tmp_path, 20, 1, Forked, undisturbed.left) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_for_long(seed: int, undisturbed: Unkilled, tmp_path: Path) -> None:
    """Two hundred kills of processes forked warm, in four shares."""
    assert soak(tmp_path, 50, 100 + seed, Forked, undisturbed.left) == {}


@pytest.mark.slow
def test_programs_killed_at_random(undisturbed: Unkilled, tmp_path: Path) -> None:
    """Twenty kills of the program as a person starts it, with every look at the disk and every figure."""
    assert soak(tmp_path, 20, 7, Started, undisturbed.left) == {}
