"""What a spectrometer waits for between two acquisitions because of labctl, on a real clock.

``pytest tests/benchmarks/test_gap.py --benchmark-enable -s``. Engine, driver and simulated console go through eight
acquisitions of about two seconds, quiet period and transfer of the data set to 0. The console tells when each ended;
until the next step file stands, the engine has to notice the end, bring the data in with checksums, journal the
outcome, commit the next intent and hand it over. Then the AU program of the console has to look, once a second.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from labctl.clock import SystemClock
from labctl.plan.steps import Plan
from labctl.ports import CheckSpinning, Effect, OnePulse
from labctl.run.engine import run_campaign
from labctl.run.options import EngineOptions, StationOptions
from labctl_sim_topspin import open_simulator
from labctl_topspin import open_driver
from tests.drivers.topspin.orders import GOOD, acquire
from tests.run.bench import calibration
from tests.run.campaigns import CAMPAIGN, step
from tests.unattended.night import SAMPLE, STATION_LIMITS

ACQUISITIONS = 8


def short_plan() -> Plan:
    """Look at the rotor, then acquire again and again."""
    base = "nmr/vt_exsy"
    rotor = CheckSpinning(rate_Hz=10_000.0, tolerance_Hz=20.0, give_up_s=60.0)
    short: dict[str, Any] = {"scans": 2, "dummy_scans": 0, "recycle_delay_s": 1.0, "points": 256, "duration_s": 2.0}
    return Plan(
        campaign=CAMPAIGN,
        steps=(
            step(f"{base}/spinning", rotor, Effect.ABSOLUTE_SET, role="spinning"),
            *(
                step(
                    f"{base}/line{number}",
                    acquire(OnePulse(purpose="line"), slot=110 + 10 * number, **short),
                    Effect.REPEATABLE,
                    role="line",
                    estimate_s=2.0,
                )
                for number in range(ACQUISITIONS)
            ),
        ),
    )


def gaps_s(folder: Path) -> tuple[list[float], list[float]]:
    """Return the times from the end of each acquisition to the next step file, and to the next acquisition [s]."""
    (folder / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
    clock = SystemClock()
    settings = {**GOOD, "quiet_period": "0 s", "simulator": {"transfer_delay": "0 s"}}
    simulator = open_simulator(
        station="nmr",
        state_dir=folder / "lab",
        clock=clock,
        seed=1,
        sample=folder / "sample.yaml",
        settings=settings,
    )
    acquirer = simulator.console.acquirer
    start, finish = acquirer.start, acquirer.finish
    began: list[float] = []
    ended: list[float] = []

    def started(*arguments: Any, **options: Any) -> Any:
        running = start(*arguments, **options)
        began.append(running.start_s)
        return running

    def finished() -> Any:
        done = finish()
        ended.append(done[0].end_s)
        return done

    acquirer.start, acquirer.finish = started, finished  # type: ignore[method-assign]  # told what the console knows
    driver = open_driver(station="nmr", settings=settings, limits=STATION_LIMITS, clock=clock, link=simulator.link())
    told = StationOptions(limits=STATION_LIMITS, calibration=calibration)
    outcome = run_campaign(
        short_plan(),
        {"nmr": driver},
        clock=clock,
        run_dir=folder / "run",
        options=EngineOptions(state_dir=folder / "state", stations={"nmr": told}),
    )
    simulator.close()
    assert outcome.exit_code == 0
    assert len(began) == len(ended) == ACQUISITIONS
    handed_over = [path.stat().st_mtime for path in sorted((folder / "lab").rglob("*.step"))][-ACQUISITIONS:]
    return (
        [handed_s - end_s for end_s, handed_s in zip(ended[:-1], handed_over[1:], strict=True)],
        [start_s - end_s for end_s, start_s in zip(ended[:-1], began[1:], strict=True)],
    )


@pytest.mark.slow
def test_gap_between_acquisitions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The console is idle between two acquisitions for as long as labctl takes; the target is 100 ms."""
    with capsys.disabled():
        print()
        for what, gaps in zip(("next step file", "next acquisition"), gaps_s(tmp_path), strict=True):
            print(
                f"end to {what}: median {1e3 * statistics.median(gaps):.0f} ms, all", *(f"{1e3 * g:.0f}" for g in gaps)
            )
            assert min(gaps) >= 0.0
