"""`labctl simulate all`: a whole lab on loopback, for clients that know nothing of labctl."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nmrglue
import pytest

from labctl.cli.app import run_app
from labctl.cli.simulating_lab import serve_all
from tests.conftest import ROOT

LAB = """\
version: 1
lab: small
stations:
  nmr500:
    driver: topspin
    simulated: true
    settings:
      tshome: tshome
      data_dir: data
      job_dir: job
      templates: {one_pulse: 1, nutation: 2, saturation_recovery: 3, exsy: 4}
      pulse_programs: {one_pulse: zg, nutation: zg2d_nut, saturation_recovery: satrect1, exsy: noesyph}
    sample: two_site_demo
  autolab:
    driver: autolab
    simulated: true
    settings:
      data_dir: data
      amplitude_kind: rms
      imaginary: "-Z''"
      noise: {current: 3 pA, gain: 0.2 %}
      open_holder: {capacitance: 20 pF, leakage: 1e12 ohm}
      oven: {controller: lakeshore}
    sample: lii_pellet
  oven:
    driver: eurotherm
    simulated: true
    settings: {port: COM1}
  maccor:
    driver: maccor
    simulated: true
    settings: {channel: 1}
    sample: in_li_lpsc_li2s
"""
FAULTS = """\
version: 1
faults:
  - {fault: mute, station: autolab.oven, at: 400 d, for: 1 h}
"""


README = {
    re.findall(r"(?:import|from) (\w+)", block.replace("import time\n", ""))[0]: block
    for block in re.findall(
        r"^```python\n(.*?)^```",
        (ROOT / "simulators" / "README.md").read_text(encoding="utf-8").partition("## A whole lab on loopback")[2],
        re.MULTILINE | re.DOTALL,
    )
}
"""Its blocks of Python, by what they import first."""


def run_block(block: str, served: Served) -> dict[str, Any]:
    """Run a block as a reader would, with the lab's stations at hand; returns its names."""
    names: dict[str, Any] = {"stations": served.stations}
    exec(compile(block, "simulators/README.md", "exec"), names)
    return names


class Lines(io.StringIO):
    """What is printed, and a way to wait for the last line of it."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = threading.Event()

    def write(self, text: str) -> int:
        """Take text; the line of the whole lab is the last."""
        count = super().write(text)
        if '"instrument": "all"' in self.getvalue():
            self.whole.set()
        return count


@dataclass
class Served:
    """A lab that is served, and what it said of itself."""

    folder: Path
    stations: dict[str, dict[str, Any]] = field(default_factory=dict)
    lab: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Four stations at 60 times real time, one with a fault to come."""
    folder = tmp_path_factory.mktemp("all")
    (folder / "lab.yaml").write_text(LAB, encoding="utf-8")
    (folder / "faults.yaml").write_text(FAULTS, encoding="utf-8")
    out, ending = Lines(), threading.Event()
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            serve_all(
                lab=folder / "lab.yaml",
                directory=folder / "state",
                speed=60.0,
                faults=folder / "faults.yaml",
                stopped=lambda: ending.is_set() or bool(failed),
                out=out,
            )
        except BaseException as problem:  # noqa: BLE001 - shown below
            failed.append(problem)
            out.whole.set()

    thread = threading.Thread(target=serve)
    thread.start()
    assert out.whole.wait(60.0)
    assert not failed, failed
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    yield Served(folder / "state", {line["station"]: line for line in lines[:-1]}, lines[-1])
    ending.set()
    thread.join(60.0)
    assert not thread.is_alive()
    assert not failed, failed
    assert len(list((folder / "state").glob("*/simulator/**/state.*"))) >= 4


def test_every_station_says_where_it_is(served: Served) -> None:
    """One line a station, with what its client opens; all on loopback, all by one clock."""
    assert served.lab["stations"] == ["nmr500", "autolab", "oven", "maccor"]
    assert set(served.stations) == {"nmr500", "autolab.oven", "oven", "maccor"}
    assert served.stations["autolab.oven"]["resource"].startswith("TCPIP0::127.0.0.1::")
    assert served.stations["maccor"]["host"] == "127.0.0.1"
    at_s = [line["now_s"] for line in served.stations.values()]
    assert at_s == sorted(at_s)
    assert Path(served.stations["nmr500"]["state_dir"]) == served.folder / "nmr500" / "simulator"


def test_the_readme_begins_by_reading_these_lines() -> None:
    """The script of the README starts this very command; the other blocks use what it collects."""
    assert '"labctl", "simulate", "all"' in README["json"]
    assert set(README) == {"json", "pyvisa", "minimalmodbus", "pymacnet", "pathlib"}


@pytest.mark.parametrize(
    ("client", "says"), [("pyvisa", "LSCI,MODEL335"), ("minimalmodbus", "degC"), ("pymacnet", "'Stat': 0")]
)
def test_third_party_clients_talk_to_it(
    served: Served, client: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """PyVISA, minimalmodbus and pymacnet, unchanged, by the lines of the README."""
    used = run_block(README[client], served)
    assert says in capsys.readouterr().out
    if client == "pymacnet":  # it has no method to close
        for name in ("json_msg", "bin_msg"):
            getattr(used["cycler"], f"_CyclerInterface__{name}_socket").close()


def test_a_client_of_folders_acquires(served: Served) -> None:
    """The AU program of the README leaves a dataset that nmrglue reads."""
    folder = run_block(README["pathlib"], served)["data"] / "mine" / "1"
    keyboard = Path(served.stations["nmr500"]["keyboard"])
    deadline_s = time.monotonic() + 60.0
    points = wanted = -1
    while points != wanted or points < 0 or not (keyboard / "1.done").exists():  # written while somebody may look
        assert time.monotonic() < deadline_s, (points, wanted)
        threading.Event().wait(0.1)
        if (folder / "fid").exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parameters, fid = nmrglue.bruker.read(str(folder))
            points, wanted = fid.size, parameters["acqus"]["TD"] // 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--sample", "nmr600=two_site_demo"], "nmr600"),
        (["--sample", "nowhere"], "nowhere"),
        (["--faults", "nowhere.yaml"], "nowhere.yaml"),
        (["--profile", "faithful"], "--profile"),
        (["--port", "70000"], "70000"),
    ],
)
def test_what_cannot_be_served_is_refused(
    line: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is up: a station, a sample, a script, an option or a port that is none."""
    assert run_app(["simulate", "all", "--dir", str(tmp_path / "lab"), *line]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "lab").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is how a terminal's Ctrl-C arrives elsewhere")
def test_ctrl_c_ends_the_lab_that_ships(tmp_path: Path) -> None:
    """All stations of the simulated lab come up by one command, end by one Ctrl-C with exit code 0, and are kept."""
    command = [sys.executable, "-c", "import sys; from labctl.cli import main; sys.exit(main())"]
    for _ in range(2):  # the second time they go on
        process = subprocess.Popen(
            [*command, "simulate", "all", "--dir", str(tmp_path)], stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT
        )
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline())]
        while lines[-1]["instrument"] != "all":
            lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60.0)
        assert process.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == set(lines[-1]["stations"])
