"""Every driver on its simulator, before a campaign: looked at, and gone through with everything off.

What matters is the wire: whatever a driver finds or says, no set point, no heater, no pulse, no cell and no start may
have been sent. So the link of each simulator is listened in to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from labctl.clock import VirtualClock
from labctl.errors import ForeignDataError, InstrumentError
from labctl.plan.expand import expand
from labctl.plan.steps import Plan
from labctl.ports import AwaitStable, Check, CoolDown, CycleCell, Errand, Order, Preflight, SetTemperature, Shadow, Task
from labctl.protocol.lab import Lab, Station
from labctl.protocol.load import load_lab, load_protocol
from labctl.station.shadow import shadow

START_S = 1_768_200_000.0
ROOT = Path(__file__).resolve().parents[2] / "protocols"
STATIONS = {"nmr500": "vt_exsy_demo", "autolab": "paper/eis_lii", "maccor": "paper/cycling_rates", "oven": ""}


class Ear:
    """Passes everything on to a link and remembers what was called with what."""

    def __init__(self, inner: Any, heard: list[tuple[str, tuple[Any, ...]]]) -> None:
        self._inner, self._heard = inner, heard

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "oven" and found is not None:
            return Ear(found, self._heard)
        if not callable(found):
            return found

        def call(*arguments: Any, **keys: Any) -> Any:
            self._heard.append((name, arguments))
            return found(*arguments, **keys)

        return call


@dataclass
class Bench:
    """One station of the simulated lab, its driver not opened, and the plan of a protocol that ships with labctl."""

    name: str
    lab: Lab
    plan: Plan
    driver: Any
    simulator: Any
    clock: VirtualClock
    heard: list[tuple[str, tuple[Any, ...]]]
    switched: list[bool] = field(default_factory=list)

    @property
    def errand(self) -> Errand:
        """What the plan wants of the station."""
        steps = self.plan.of_station(self.name)
        return Errand(tasks=tuple(step.task for step in steps), disk_bytes=sum(step.disk_bytes for step in steps))

    def refusals(self, errand: Errand | None = None) -> list[Check]:
        """What stands in the way."""
        found: tuple[Check, ...] = self.driver.preflight(errand or self.errand)
        return [check for check in found if check.verdict == "refuse"]

    def commands(self) -> list[str]:
        """Everything sent that could move something: what was written, in the words of each wire."""
        moving = []
        for name, arguments in self.heard:
            if name == "send":  # Lake Shore: a question ends in ?, and *ESE tags an answer
                moving += [
                    part
                    for part in arguments[0].split(";")
                    if not part.split(" ")[0].endswith("?") and not part.startswith("*ESE ")
                ]
            elif name in {"write", "launch"}:  # Modbus; a command typed on a console
                moving.append(f"{name} {arguments}")
            elif name == "exchange":  # MacNet: (6,11) checks a start and starts nothing
                asked = json.loads(arguments[0])["params"]
                asked = asked[0] if isinstance(asked, list) else asked
                if asked["FClass"] in {5, 6} and (asked["FClass"], asked["FNum"]) != (6, 11):
                    moving.append(str(asked))
        return moving + [f"cell {on}" for on in self.switched]


def oven_plan(name: str) -> Plan:
    """A ramp, a soak and a cool-down."""
    from labctl.ports import Effect
    from tests.run.campaigns import step

    ramp = SetTemperature(setpoint_K=333.15, sample_K=333.15, ramp_K_per_s=0.03, give_up_s=7200.0)
    soak = AwaitStable(setpoint_K=333.15, sample_K=333.15, within_K=0.5, hold_s=600.0, give_up_s=7200.0)
    cool = CoolDown(setpoint_K=298.15, ramp_K_per_s=0.03, give_up_s=7200.0)
    tasks: dict[str, Task] = {"ramp": ramp, "soak": soak, "cool": cool}
    return Plan(
        campaign="oven",
        steps=tuple(step(f"{name}/ladder/{what}", task, Effect.ABSOLUTE_SET) for what, task in tasks.items()),
    )


Make = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes the bench of a station; what the driver is told `differently`, the instrument does not know."""
    closing: list[Any] = []

    def made(name: str, *, faults: str = "", driver: str = "eurotherm", **differently: Any) -> Bench:
        lab = load_lab(ROOT / "labs" / "simulated.yaml").model
        if name == "oven":
            station = Station.model_validate({"driver": driver, "limits": {"sensor_max": "180 degC"}})
            plan = oven_plan(name)
        else:
            station = lab.station(name)
            protocol = load_protocol(ROOT / f"{STATIONS[name]}.yaml").model
            whole = expand(protocol, lab)
            plan = Plan(campaign=whole.campaign, steps=whole.of_station(name))
        clock = VirtualClock(START_S)
        told = {**station.settings, **differently}
        script = tmp_path / "faults.yaml"
        script.write_text(f"version: 1\nfaults:\n{faults}", encoding="utf-8")
        sample = {"maccor": "in_li_lpsc_li2s", "autolab": "lii_pellet"}.get(station.driver, "two_site_demo")
        [open_simulator] = [e.load() for e in entry_points(group="labctl.simulators", name=station.driver)]
        [open_driver] = [e.load() for e in entry_points(group="labctl.drivers", name=station.driver)]
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        simulator = open_simulator(
            station=name,
            state_dir=folder,
            clock=clock,
            seed=1,
            sample=ROOT / "samples" / f"{sample}.yaml",
            settings=station.simulator_settings(),
            faults=script if faults else None,
        )
        clock.add_source(simulator.next_event_s)
        heard: list[tuple[str, tuple[Any, ...]]] = []
        link = Ear(simulator.link(), heard)
        instrument = open_driver(station=name, settings=told, limits=station.limits.numbers(), clock=clock, link=link)
        bench = Bench(name, lab, plan, instrument, simulator, clock, heard)
        if station.driver == "autolab":
            device = simulator.device
            switch = device.switch_cell

            def listened(on: bool) -> None:
                bench.switched.append(on)
                switch(on)

            device.switch_cell = listened
        closing.append(simulator)
        return bench

    yield made
    for simulator in closing:
        simulator.close()


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder that the instrument or labctl keeps, with its hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".json" and "state" not in path.name
    }


@pytest.mark.parametrize("name", STATIONS)
def test_a_fit_station_is_not_refused_and_not_touched(make: Make, tmp_path: Path, name: str) -> None:
    """A fresh station has nothing in its way, something to say, and hears no command that moves anything."""
    bench = make(name)
    before = files(tmp_path / name)
    assert isinstance(bench.driver, Preflight)
    checks = bench.driver.preflight(bench.errand)
    assert [check.what for check in checks if check.verdict == "refuse"] == []
    assert sum(check.verdict == "ok" for check in checks) >= 3
    assert bench.commands() == []
    assert bench.driver.preflight(bench.errand) == checks, "looking twice gives the same"
    assert files(tmp_path / name) == before


@pytest.mark.parametrize("name", STATIONS)
def test_a_shadow_run_sends_no_energy(make: Make, tmp_path: Path, name: str) -> None:
    """Every step of a shipped campaign is visited and told, and nothing that heats, pulses or drives was sent."""
    bench = make(name)
    before = files(tmp_path / name)
    assert isinstance(bench.driver, Shadow)
    driver: Any = bench.driver
    visited = list(shadow(bench.plan, {bench.name: driver}))
    assert [one.step_id for one in visited] == [step.id for step in bench.plan.steps]
    assert [one.fault for one in visited if one.fault] == []
    assert all("would" in one.would[-1] or "not switched" in one.would[-1] for one in visited)
    assert bench.commands() == []
    new = {path for path in files(tmp_path / name) if path not in before}
    assert all(path.endswith(".000") for path in new), "only procedures, which start nothing"
    assert {path: sha for path, sha in files(tmp_path / name).items() if path in before} == before


@pytest.mark.parametrize("driver", ["eurotherm", "lakeshore"])
def test_the_ear_hears_a_set_point(make: Make, driver: str) -> None:
    """The test above bites: a set point that is really sent is heard as a command."""
    bench = make("oven", driver=driver)
    bench.driver.open(1)
    bench.driver.begin(replace_token(bench, "oven/ladder/ramp"))
    assert bench.commands() != []


def replace_token(bench: Bench, step_id: str) -> Order:
    """An order of a step."""
    step = bench.plan.step(step_id)
    return Order(
        token="0a1b2c3d-1", title=f"t {step_id} 0a1b2c3d-1", step_id=step_id, attempt=1, epoch=1, task=step.task
    )


@pytest.mark.parametrize("name", ["nmr500", "autolab"])
def test_a_full_disk_is_refused(make: Make, name: str) -> None:
    """A campaign that the disk cannot hold is refused with both figures."""
    bench = make(name)
    refused = bench.refusals(replace(bench.errand, disk_bytes=10**18))
    assert any("GB free" in check.value and "GB for the campaign" in check.expected for check in refused)


def test_expnos_that_are_taken(make: Make, tmp_path: Path) -> None:
    """Somebody's dataset in our place refuses the campaign by its number and title, and stops a shadow run there."""
    bench = make("nmr500")
    taken = next(step for step in bench.plan.steps if hasattr(step.task, "expno_slot"))
    number = taken.task.expno_slot + 1  # type: ignore[union-attr]  # found by the attribute
    folder = bench.simulator.link().data_dir / "labctl" / str(number)
    (folder / "pdata" / "1").mkdir(parents=True)
    (folder / "pdata" / "1" / "title").write_text("Anna's sample", encoding="utf-8")
    [check] = bench.refusals()
    assert f"{number} (Anna's sample)" in check.value
    with pytest.raises(ForeignDataError):
        bench.driver.shadow(replace_token(bench, taken.id))
    assert files(folder) == {"pdata/1/title": hashlib.sha256(b"Anna's sample").hexdigest()}


def test_a_template_of_another_program(make: Make) -> None:
    """A template that runs another pulse program than the lab file says is refused, one that is missing too."""
    bench = make(
        "nmr500",
        pulse_programs={
            **load_lab(ROOT / "labs" / "simulated.yaml").model.station("nmr500").settings["pulse_programs"],
            "exsy": "noesygpph",
        },
    )
    [check] = bench.refusals()
    assert "noesyph" in check.value
    assert "noesygpph" in check.value
    bench = make("nmr500", templates={"one_pulse": 1, "nutation": 2, "saturation_recovery": 3, "exsy": 77})
    [check] = bench.refusals()
    assert "labctl-templates/77" in check.next_step


def test_au_programs(make: Make) -> None:
    """Programs that are missing, old, or do not compile are told apart; after opening they are ours and alive."""
    bench = make("nmr500")
    link = bench.simulator.link()
    assert link.au_fault("x", "int broken( {") != ""
    (link.au_dir).mkdir(parents=True, exist_ok=True)
    (link.au_dir / "labctl_guard").write_text("/* of last year */", encoding="utf-8")
    told = {check.what: check.verdict for check in bench.driver.preflight(bench.errand)}
    assert told["the AU program labctl_guard is another one"] == "warning"
    assert told["the AU program labctl_executor is not installed yet"] == "warning"
    bench.driver.open(1)
    link.refresh()
    told = {check.what: check.verdict for check in bench.driver.preflight(bench.errand)}
    assert told["the AU program labctl_guard is the one of this labctl"] == "ok"
    assert told["clock of the console against this computer's, from the guard's heartbeat"] == "ok"
    assert "sensor [K]" in told


def test_another_program_has_the_potentiostat(make: Make) -> None:
    """NOVA holding the device is a refusal that says so; a cell that was left on is a warning."""
    held = "  - {fault: nova_holds, station: autolab, at: 0 s, for: 1 h}\n"
    bench = make("autolab", faults=held)
    [check] = bench.refusals()
    assert "NOVA" in check.next_step
    assert bench.switched == []


def test_an_oven_that_tripped(make: Make) -> None:
    """A heater that is off with its set point up needs a person first; a set point beyond the limits is refused."""
    bench = make("oven", driver="lakeshore")
    too_hot = SetTemperature(setpoint_K=600.0, sample_K=600.0, ramp_K_per_s=0.03, give_up_s=60.0)
    assert any("sensor_max" in check.what for check in bench.refusals(Errand(tasks=(too_hot,))))
    bench.driver.open(1)
    bench.driver.begin(replace_token(bench, "oven/ladder/ramp"))
    until_s = bench.clock.monotonic_s() + 600.0
    while bench.clock.monotonic_s() < until_s:
        bench.clock.wait_until(until_s)
        bench.driver.readings()
    link = bench.simulator.link()
    link.send("RANGE 1,0")
    link.clear()
    found = [check.what for check in bench.refusals()]
    assert any("the heater is off while the set point is up" in what for what in found), found


def test_a_channel_that_is_not_free(make: Make) -> None:
    """A cell beyond the channel's current is refused; so is a channel that runs a test."""
    bench = make("maccor")
    task = next(task for task in bench.errand.tasks if isinstance(task, CycleCell))
    [check] = bench.refusals(Errand(tasks=(replace(task, current_A=40.0),)))
    assert "40 A" in check.value
    bench.driver.open(1)
    step = next(step for step in bench.plan.steps if isinstance(step.task, CycleCell))
    bench.driver.begin(replace_token(bench, step.id))
    bench.driver.readings()
    [check] = bench.refusals()
    assert "is not free" in check.what
    with pytest.raises(InstrumentError, match="begun already"):
        bench.driver.shadow(replace_token(bench, step.id))
