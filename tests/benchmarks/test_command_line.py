"""What people wait for at a prompt: the first page, a check, the status of a campaign; and a hundred protocols at once.

``pytest tests/benchmarks/test_command_line.py -m slow -s``. Commands are timed as processes of their own, start of
Python included: processor time, which a busy machine hardly changes, and the quickest of their runs by the clock.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labctl.cli.locating import lab_file
from labctl.cli.planning import checked_text
from labctl.cli.run_folder import freeze
from labctl.clock import VirtualClock
from labctl.run.journal import Journal
from labctl.run.noticeboard import Noticeboard
from labctl.run.replay import replayed
from tests.benchmarks.test_engine import long_plan, write_long_journal

PROTOCOLS = Path(__file__).parents[2] / "protocols"
RUNS = 7


def timed(*arguments: str) -> tuple[float, float]:
    """Return the median processor time and the least elapsed time of a command [s]."""
    command = [sys.executable, "-c", "from labctl.cli import main; main()", *arguments]
    cpu, wall = [], []
    for _ in range(RUNS):
        before, begun = os.times(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode("utf-8")
        after = os.times()
        wall.append(time.perf_counter() - begun)
        cpu.append(after.children_user - before.children_user + after.children_system - before.children_system)
    return statistics.median(cpu), min(wall)


def long_campaign(folder: Path) -> Path:
    """Return a run folder whose journal has 10 000 rows, with what its engine shows of itself."""
    run_dir = folder / "run"
    freeze(
        run_dir,
        protocol=PROTOCOLS / "vt_exsy_demo.yaml",
        lab=lab_file(None),
        simulated=True,
        sample=None,
        faults=None,
        seed=0,
        start_s=0.0,
    )
    plan = long_plan(2500)
    write_long_journal(run_dir / "journal.sqlite", plan)
    journal = Journal(run_dir / "journal.sqlite", clock=VirtualClock(0.0), read_only=True)
    board = Noticeboard(run_dir, version="benchmark")
    row = list(journal.rows())[-1]
    board.seen(row, row.event, replayed(journal, plan))
    board.close()
    journal.close()
    return run_dir


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the processor time of children")
def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Targets: first page 0.15 s, a check of the whole paper 0.5 s, status of a running campaign 0.3 s."""
    run_dir = long_campaign(tmp_path)
    with capsys.disabled():
        print(f"\n{'command':44s}{'CPU s':>8s}{'s':>8s}")
        for what, arguments in (
            ("labctl --help", ["--help"]),
            ("labctl check protocols/vt_exsy_demo.yaml", ["check", str(PROTOCOLS / "vt_exsy_demo.yaml")]),
            ("labctl check protocols/paper/paper.yaml", ["check", str(PROTOCOLS / "paper" / "paper.yaml")]),
            ("labctl status DIR, 10 000 rows", ["status", str(run_dir)]),
        ):
            cpu_s, wall_s = timed(*arguments)
            print(f"{what:44s}{cpu_s:8.2f}{wall_s:8.2f}")


@pytest.mark.slow
def test_a_hundred_protocols(capsys: pytest.CaptureFixture[str]) -> None:
    """The campaigns that come with labctl by turns, a hundred names, all checked and planned; the target is 1 s."""
    shipped = [PROTOCOLS / "vt_exsy_demo.yaml", *sorted((PROTOCOLS / "paper").glob("*.yaml"))]
    texts = [path.read_text(encoding="utf-8") for path in shipped if path.name != "paper.yaml"]
    hundred = [
        re.sub(r"(?m)^campaign: .*", f"campaign: number-{number}", texts[number % len(texts)]) for number in range(100)
    ]
    lab = lab_file(None)
    checked_text(texts[0], "first", lab)
    begun, cpu = time.perf_counter(), time.process_time()
    plans = [checked_text(text, f"{number}.yaml", lab).plan for number, text in enumerate(hundred)]
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - begun
    assert len({plan.campaign for plan in plans}) == 100
    with capsys.disabled():
        steps = sum(len(plan.steps) for plan in plans)
        print(f"\n100 protocols, {steps} steps: {cpu_s:.2f} s of processor time, {wall_s:.2f} s")
