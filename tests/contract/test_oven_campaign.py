"""The engine runs an oven station: ramps, soaks, cools down, trips on what contradicts itself, survives kills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.plan.steps import Plan, Step, step_key
from labctl.ports import AwaitStable, Effect, Task
from labctl.run.engine import CampaignOutcome, run_campaign
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.progress import ProgressReport
from tests.contract.oven_bench import KINDS, LIMITS, Bench, Kind, cool, ramp, soak

pytestmark = pytest.mark.parametrize("kind", KINDS)

TEMPERATURES_K = (313.15, 333.15)


class Killed(BaseException):
    """The process is gone."""


def ladder() -> Plan:
    """Two temperatures, then the end of heat."""

    def step(name: str, task: Task) -> Step:
        step_id = f"oven/ladder/{name}"
        key = step_key(campaign="oven", step_id=step_id, task=task, recycle=None)
        return Step(
            id=step_id,
            station="oven",
            procedure="ladder",
            role=name.rsplit("/", maxsplit=1)[-1],
            task=task,
            effect=Effect.ABSOLUTE_SET,
            key=key,
            estimate_s=1800.0,
        )

    steps: list[Step] = []
    for number, setpoint_K in enumerate(TEMPERATURES_K):
        steps += [
            step(f"T{number:02d}/ramp", ramp(setpoint_K)),
            step(f"T{number:02d}/settle", soak(setpoint_K, hold_s=300.0)),
        ]
    return Plan(campaign="oven", steps=(*steps, step("cool", cool())))


def run(bench: Bench, folder: Path, *, kill_at: int = 0) -> tuple[CampaignOutcome, list[str]]:
    """Run or resume the ladder; `kill_at`: die at so many looks."""
    said: list[str] = []
    looks: Iterator[int] = iter(range(1, 10**9))

    def hear(report: ProgressReport) -> None:
        if report.message:
            said.append(report.message)
        if next(looks) == kill_at:
            raise Killed

    options = EngineOptions(
        stations={"oven": StationOptions(limits={"sensor_max_K": LIMITS["sensor_max_K"]}, safe_deadline_s=600.0)},
        state_dir=folder / "state",
        grace_s=0.0,
    )
    outcome = run_campaign(
        ladder(),
        {"oven": bench.driver},
        clock=bench.clock,
        run_dir=folder / "run",
        options=options,
        on_progress=hear,
    )
    return outcome, said


def test_a_ladder_is_walked_to_its_end(kind: Kind, tmp_path: Path) -> None:
    """Every step done, soaks kept, oven parked."""
    bench = Bench(kind, tmp_path)
    outcome, said = run(bench, tmp_path)
    assert outcome.exit_code == 0, said
    assert bench.driver.is_safe()
    soaks_s = sum(step.task.hold_s for step in ladder().steps if isinstance(step.task, AwaitStable))
    assert bench.clock.now_s() - bench.lab.device.oven.born_s > soaks_s


@pytest.mark.parametrize(
    ("fault", "named", "ends_safe"),
    [
        ("welded_relay", "goes on heating although it is switched off", False),
        ("power_dip", "the heater went off, and nobody asked for that", True),
    ],
)
def test_a_fault_trips_into_the_safe_state(kind: Kind, tmp_path: Path, fault: str, named: str, ends_safe: bool) -> None:
    """The interlock names it, the heater goes off; a welded relay is not called safe: somebody has to go and look."""
    bench = Bench(kind, tmp_path, faults=f"  - {{fault: {fault}, at: 12 min}}\n")
    outcome, said = run(bench, tmp_path)
    assert outcome.exit_code == 1
    assert named in outcome.reasons["oven"], "the reason is the interlock's, not the driver's for the step it made fail"
    assert any(message.startswith("SAFETY: ") and "Hazard: " in message and named in message for message in said), said
    assert outcome.stations["oven"] is (StationPhase.SAFE if ends_safe else StationPhase.UNCONFIRMED)
    assert bench.lab.device.oven.regulator.mode != "auto"
    assert bench.lab.device.oven.nodes.sensor_K < LIMITS["sensor_max_K"]


@pytest.mark.parametrize("look", [2, 60])
def test_a_killed_campaign_goes_on_where_the_oven_is(kind: Kind, tmp_path: Path, look: int) -> None:
    """Killed at any look and resumed, the ladder is walked to its end."""
    bench = Bench(kind, tmp_path)
    with pytest.raises(Killed):
        run(bench, tmp_path, kill_at=look)
    bench.restart()
    outcome, said = run(bench, tmp_path)
    assert outcome.exit_code == 0, said
    assert bench.driver.is_safe()
