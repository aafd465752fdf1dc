"""A campaign as programs of the console's own: no labctl between typing its name and `labctl analyze`."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl.analysis.results import Results
from labctl.cli.app import run_app
from labctl.clock import VirtualClock
from labctl.protocol.load import load_lab
from labctl_sim_sample import load_sample
from labctl_sim_topspin import SimulatedTopspin, open_simulator
from tests.conftest import ROOT

START_S = 1_790_000_000.0
PROGRAM = "lc_alone_demo"
DATASET = "alone-demo"
KELVIN = 273.15
SHORT_s = 1e-6

PROTOCOL = """\
version: 1
campaign: alone-demo
sample: {name: two sites, nucleus: 6Li, sites: {A: 2.0 ppm, B: -2.0 ppm}, simulated_as: two_site_demo}
procedures:
  - vt_exsy:
      station: nmr500
      temperatures: [50 degC, 30 degC]
      ramp: 4 K/min
      settle: {within: 0.5 K, for: 4 min, give_up: 60 min, shift: none}
      spinning: 10 kHz
      tune: operator
      p90: {each_temperature: false}
      t1: {expect: 3 s, delays: {from: 50 ms, to: 20 s, points: 6, spacing: log}}
      recycle_delay: {times_T1: 1.5, of: slowest, max: 6 s}
      mixing_times: [50 ms, 1 s]
      increments: 24
      increment: 0.8 ms
      scans: 16
      points: 1024
      reference_1d: {around_each_2d: false}
      return_to_first_temperature: false
"""


class Bench:
    """A simulated console with what was exported copied onto it, and somebody who types."""

    def __init__(self, folder: Path, exported: Path, faults: str = "", layout: str = "4.0.8") -> None:
        lab = load_lab(ROOT / "protocols" / "labs" / "simulated.yaml").model.station("nmr500")
        settings = lab.simulator_settings()
        script = None
        if faults:
            script = folder / "faults.yaml"
            script.write_text(f"version: 1\nfaults:\n{faults}", encoding="utf-8")
        self.clock = VirtualClock(START_S)
        self.simulator: SimulatedTopspin = open_simulator(
            station="nmr500",
            state_dir=folder / "lab",
            clock=self.clock,
            seed=1,
            sample=ROOT / "protocols" / "samples" / "two_site_demo.yaml",
            settings={**settings, "simulator": {**settings["simulator"], "layout": layout}},
            faults=script,
        )
        self.clock.add_source(self.simulator.next_event_s)
        self.console, self.link = self.simulator.console, self.simulator.link()
        shutil.copytree(exported / "au", self.link.au_dir, dirs_exist_ok=True)
        for kind in ("vd", "vp"):
            shutil.copytree(exported / "lists" / kind, self.link.lists_dir / kind / "user")
        shutil.copytree(exported / "job", self.link.job_dir, dirs_exist_ok=True)
        self.data = self.link.data_dir / DATASET

    def type(self, *programs: str) -> None:
        """Type ``xau <program> <job folder>`` for each."""
        for program in programs:
            self.link.launch(f"xau {program} {self.link.job_dir}")

    @property
    def runs(self) -> bool:
        """Whether the exported program still runs."""
        return any(one.machine.name == PROGRAM for one in self.console.programs.running.values())

    def live(self, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until the program has ended, or something is so."""
        deadline_s = self.clock.now_s() + 60 * 3600.0
        while self.runs and not until():
            self.clock.wait_until(self.clock.now_s() + 3600.0)
            self.link.refresh()
            assert self.clock.now_s() < deadline_s, self.console.messages[-20:]
        assert not any("broke" in said for said in self.console.messages), self.console.messages[-20:]

    def acquiring(self, title: str, *, for_s: float = 0.0) -> bool:
        """Whether an acquisition with that in its title is under way, and has been for so long."""
        running = self.console.acquirer.running
        if running is None or title not in (running.place.processed / "title").read_text(encoding="utf-8"):
            return False
        while self.clock.now_s() < running.start_s + for_s:
            self.clock.wait_until(running.start_s + for_s)
            self.link.refresh()
        return True

    def raw(self) -> dict[str, str]:
        """The raw data of the campaign, by file, as checksums."""
        files = (path for path in sorted(self.data.glob("*/*")) if path.name in {"ser", "fid"})
        return {str(path.relative_to(self.data)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def log(self) -> str:
        """What the program told."""
        return (self.link.job_dir / "log.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `labctl export` makes of the protocol above."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "alone.yaml").write_text(PROTOCOL, encoding="utf-8")
    assert run_app(["export", str(folder / "alone.yaml"), "--au", str(folder / "out")]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def bench(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A console on which somebody typed the two names."""
    bench = Bench(tmp_path_factory.mktemp("alone"), exported)
    bench.type(PROGRAM, "labctl_guard")
    yield bench
    bench.simulator.close()


def test_it_goes_on_after_anything_and_writes_over_nothing(bench: Bench) -> None:
    """A halt is kept and made up for, an acquisition that lost its program is waited for, all else is acquired once."""
    bench.live(lambda: bench.acquiring("T01/tmix02", for_s=600.0))
    bench.link.launch("halt")
    bench.live(lambda: bench.acquiring("T02/tmix01", for_s=60.0))
    bench.link.launch(f"kill {PROGRAM}")
    assert bench.acquiring("T02/tmix01")
    before = bench.raw()
    bench.type(PROGRAM)
    bench.live()
    waited, went_on = bench.log().rpartition("may still be running")[::2]
    assert waited.count("set_temperature") == 2  # nothing was moved before its end
    assert went_on.count("set_temperature") == 2
    assert "acquired before" in went_on
    after = bench.raw()
    assert before.items() < after.items()
    titles = {name: (bench.data / name).parent.joinpath("pdata/1/title").read_text("utf-8") for name in after}
    twice = sorted(int(name.split("/")[0]) for name, title in titles.items() if "T01/tmix02" in title)
    assert twice[1] == twice[0] + 1
    assert len(after) == len({title.rpartition("-")[0] for title in titles.values()}) + 1
    assert not bench.console.plant.vt.heating

    bench.type(PROGRAM)
    bench.live()
    assert bench.raw() == after
    assert bench.log().rstrip().endswith("all is acquired; nothing was begun")


def test_analyze_reads_what_it_left(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Temperatures are those of the sample, T1s and rates of both are the sample's own within their errors."""
    if not (bench.data / "2001").exists():
        bench.live()
    assert run_app(["analyze", str(bench.data), "--sites", "A=2.0,B=-2.0", "--json"]) == 0
    results = Results.model_validate_json(capsys.readouterr().out)
    sample = load_sample(ROOT / "protocols" / "samples" / "two_site_demo.yaml").nmr
    fits = [fit for fit in results.exsy.fits if fit.model == "exchange"]
    assert [round(fit.T_K or 0.0) for fit in fits] == [round(30 + KELVIN), round(50 + KELVIN)]
    pulls = []
    for fit in fits:
        assert fit.T_K is not None
        start, moved = sample.mixing_matrix(fit.T_K, 0.0), sample.mixing_matrix(fit.T_K, SHORT_s)
        for i, j in ((0, 1), (1, 0)):
            rate_per_s = moved[i, j] / start[i, i] / SHORT_s  # before relaxation or the way back count
            pulls.append((fit.k_per_s[i][j] - rate_per_s) / fit.k_se[i][j])
    assert all(abs(pull) < 4.0 for pull in pulls)
    assert math.fsum(pull**2 for pull in pulls) < 16.0
    assert {(one.site, round(one.T_K or 0.0)) for one in results.t1} == {
        (site, round(T_C + KELVIN)) for site in "AB" for T_C in (30, 50)
    }


@pytest.mark.parametrize("fault", ["spin_loss"])
def test_a_fault_ends_it_without_heat(exported: Path, tmp_path: Path, fault: str) -> None:
    """The guard sees it while nobody else can; the program stops, the heater is off, and nobody spins anything up."""
    ends_without_heat(exported, tmp_path, fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["gas_loss", "heater_trip", "guard_killed", "overshoot", "sensor_silent", "kill"])
def test_every_fault_ends_without_heat(exported: Path, tmp_path: Path, fault: str) -> None:
    """Whatever fails, nothing is hot in the end, and what was acquired is there."""
    ends_without_heat(exported, tmp_path, fault)


def ends_without_heat(exported: Path, folder: Path, fault: str) -> None:
    """Run into a fault in the middle of a 2D and see what is on afterwards."""
    bench = Bench(folder, exported, f"  - {{fault: {fault}, during: {{title: T01/tmix01, after: 2 min}}}}\n")
    bench.type(PROGRAM, "labctl_guard")
    before: dict[str, str] = {}
    while bench.runs:
        bench.clock.wait_until(bench.clock.now_s() + 3600.0)
        bench.link.refresh()
        raw = bench.raw()
        assert before.keys() <= raw.keys()
        before = raw
    assert "stopped at nmr500/vt_exsy/T01" in bench.log()
    assert "nmr500/vt_exsy/T02" not in bench.log()
    assert bench.console.acquirer.running is None
    assert not bench.console.plant.vt.heating
    if fault == "spin_loss":
        assert bench.console.plant.mas.rate_Hz < 1000.0
    bench.simulator.close()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["3.6", "4.2"])
def test_every_wording_of_the_audit_trail_is_understood(exported: Path, tmp_path: Path, layout: str) -> None:
    """What an older or newer TopSpin says of an end is read alike: complete is complete, halted is done again."""
    bench = Bench(tmp_path, exported, layout=layout)
    bench.type(PROGRAM, "labctl_guard")
    bench.live(lambda: bench.acquiring("T01/tmix02", for_s=600.0))
    bench.link.launch("halt")
    bench.live()
    first = bench.raw()
    bench.type(PROGRAM, "labctl_guard")
    bench.live()
    (made_up,) = bench.raw().keys() - first.keys()
    assert "T01/tmix02" in (bench.data / made_up).parent.joinpath("pdata/1/title").read_text(encoding="utf-8")
    bench.type(PROGRAM)
    bench.live()
    assert bench.log().rstrip().endswith("all is acquired; nothing was begun")
    bench.simulator.close()


@pytest.mark.slow
def test_a_person_ends_it_and_goes_on(exported: Path, tmp_path: Path) -> None:
    """`stop` halts while the program is deaf inside zg, and brings 25 °C; typed again it goes on where it was."""
    bench = Bench(tmp_path, exported)
    bench.type(PROGRAM, "labctl_guard")
    bench.live(lambda: bench.acquiring("T01/tmix02", for_s=600.0))
    bench.link.launch(f"xau {PROGRAM} {bench.link.job_dir} stop")
    bench.live()
    assert not bench.console.plant.vt.heating
    sensor_K = bench.console.plant.sensor_K()
    assert sensor_K is not None
    assert sensor_K < 30.0 + KELVIN
    first = bench.raw()
    bench.type(PROGRAM)
    bench.live()
    assert first.items() < bench.raw().items()
    assert bench.log().rstrip().endswith("all is acquired, the heater is off")
    bench.simulator.close()


def test_nothing_is_written_over(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds something is refused, and a campaign without a spectrometer too."""
    (tmp_path / "alone.yaml").write_text(PROTOCOL, encoding="utf-8")
    assert run_app(["export", str(tmp_path / "alone.yaml"), "--au", str(exported)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    ladder = ROOT / "protocols" / "paper" / "eis_lii.yaml"
    assert run_app(["export", str(ladder), "--au", str(tmp_path / "au")]) == 2
    assert "topspin" in capsys.readouterr().err
    assert not (tmp_path / "au").exists()


def test_a_real_station_that_is_not_commissioned_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs that run unattended are written for stations that may be: limits, calibration and signatures."""
    (tmp_path / "alone.yaml").write_text(PROTOCOL, encoding="utf-8")
    lab = (ROOT / "protocols" / "labs" / "simulated.yaml").read_text(encoding="utf-8")
    (tmp_path / "lab.yaml").write_text(lab.replace("    simulated: true\n", "", 1), encoding="utf-8")
    line = ["export", str(tmp_path / "alone.yaml"), "--au", str(tmp_path / "au"), "--lab", str(tmp_path / "lab.yaml")]
    assert run_app(line) == 3
    assert "commissioning not signed" in capsys.readouterr().err
    assert not (tmp_path / "au").exists()
