"""The worked example of a driver and its simulator, installed as somebody else's package beside labctl."""

from __future__ import annotations

import importlib
import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.analysis.results import Results
from labctl.cli import finishing
from labctl.cli.app import run_app
from labctl.clock import SystemClock
from labctl.errors import InputError, InstrumentSilent, SafetyRefusal

if TYPE_CHECKING:
    import labctl_bath
    import labctl_sim_bath
    from labctl.station.shapes import OpenController, OpenDriver, OpenSimulator
    from labctl_bath._link import Link, TcpLink

    def links_fit(simulated: labctl_sim_bath.InstrumentLink, real: TcpLink) -> tuple[Link, Link]:
        """Checked by mypy: either can stand at the other end of the driver."""
        return simulated, real

    SHAPES: tuple[OpenDriver, OpenController, OpenSimulator] = (
        labctl_bath.open_driver,
        labctl_bath.open_controller,
        labctl_sim_bath.open_simulator,
    )

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "drivers" / "example"
LIMITS = {"sensor_max_K": 383.15, "sample_max_K": 373.15, "ramp_max_K_per_s": 3 / 60}


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, installed by pip into a folder of its own that Python then looks into."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(EXAMPLE)], check=True, capture_output=True)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    yield site
    sys.path.remove(str(site))
    for name in [name for name in sys.modules if name.partition(".")[0] in {"labctl_bath", "labctl_sim_bath"}]:
        del sys.modules[name]


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results only; nobody looks at the page."""
    monkeypatch.setattr(finishing, "_write_report", lambda *_: None)


def loaded(name: str) -> Any:
    """A module of the example, from where it was installed."""
    return importlib.import_module(name)


def test_it_is_installed_apart_from_labctl(installed: Path) -> None:
    """Both packages come from the folder it was installed into, not from beside our drivers."""
    for name in ("labctl_bath", "labctl_sim_bath"):
        assert Path(loaded(name).__file__).is_relative_to(installed)


@pytest.mark.usefixtures("no_report")
def test_a_ladder_is_measured_in_the_bath(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line finds driver and simulator by their name in the lab file; both spectra are acquired."""
    line = [str(EXAMPLE / "ladder.yaml"), "--lab", str(EXAMPLE / "lab.yaml")]
    assert run_app(["check", *line]) == 0
    assert run_app(["run", *line, "--simulate", "--dir", str(tmp_path / "run")]) == 0
    results = Results.model_validate_json((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results.certificate is not None
    assert results.certificate.acquired == results.certificate.planned == 2
    assert [one.T_K for one in results.eis.spectra] == pytest.approx([303.15, 318.15], abs=0.5)
    capsys.readouterr()


@pytest.mark.usefixtures("no_report")
def test_its_faults_trip_the_interlocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault script reaches it like any oven of ours, and the station ends safe with what a person has to know."""
    script = tmp_path / "faults.yaml"
    script.write_text(
        "version: 1\nfaults:\n  - {fault: heater_trip, station: autolab.oven, at: 5 min}\n", encoding="utf-8"
    )
    line = ["run", str(EXAMPLE / "ladder.yaml"), "--lab", str(EXAMPLE / "lab.yaml"), "--simulate"]
    assert run_app([*line, "--faults", str(script), "--dir", str(tmp_path / "run")]) == 1
    assert "nobody asked for that" in capsys.readouterr().out


def test_the_real_link_reaches_the_simulated_bath(tmp_path: Path) -> None:
    """Over a socket of this computer, driver and simulator understand each other, and a dead line is silence."""
    out, ending = io.StringIO(), threading.Event()
    ready = threading.Event()

    class Lines(io.StringIO):
        def write(self, text: str) -> int:
            count = out.write(text)
            ready.set()
            return count

    server = threading.Thread(
        target=loaded("labctl_sim_bath.server").serve,
        kwargs={
            "station": "bath", "state_dir": tmp_path, "settings": {}, "seed": 1, "speed": 1.0,
            "stopped": ending.is_set, "out": Lines(),
        },
    )  # fmt: skip
    server.start()
    assert ready.wait(30.0)
    host, _, port = json.loads(out.getvalue())["address"].partition(":")
    bath = loaded("labctl_bath").open_controller(
        settings={"host": host, "port": int(port), "reply_timeout": "5 s"}, clock=SystemClock(), limits=LIMITS
    )
    try:
        bath.open()
        bath.ramp_to(313.15, 2 / 60)
        assert bath.loop().heating_allowed
        bath.heater_off()
        assert not bath.loop().heating_allowed
        assert {reading.quantity for reading in bath.read()} == {"sensor_K", "setpoint_K", "heater_percent"}
        assert bath.health() == ()
    finally:
        ending.set()
        server.join(30.0)
        bath.close()
    with pytest.raises(InstrumentSilent):
        bath.loop()


@given(st.integers(0, 9999), st.floats(-50.0, 300.0), st.sampled_from(["SP", "RATE", "LIMIT", "RUN"]))
def test_each_side_understands_the_other(tag: int, value: float, name: str) -> None:
    """Whatever the driver sets is a command to the simulator, whose answer carries the tag; its status is one too."""
    codec, device = loaded("labctl_bath._codec"), loaded("labctl_sim_bath._device")
    grammar = loaded("labctl_sim_bath._wire").Grammar(device.Bath(device.Settings(), seed=1, born_s=0.0))
    for words in (codec.setting(name, value), "STATUS"):
        (line,), rest = grammar.split(codec.message(tag, words))
        assert rest == b""
        told_tag, told = codec.answer(grammar.answer(line, 0.0))
        assert told_tag == tag
        assert told in {"OK", "NO RANGE"} or words == "STATUS"
    assert codec.status(told).heater_percent == 0.0


@pytest.mark.parametrize("words", ["SP 1\r\nRUN 1", "sp 1", "RUN  1", "SP 1e3", ""])
def test_nothing_else_reaches_the_line(words: str) -> None:
    """The codec refuses what could be read as more than one command."""
    with pytest.raises(ValueError, match="no command"):
        loaded("labctl_bath._codec").message(1, words)


def test_mistakes_in_the_lab_file_are_named() -> None:
    """A key that is none, and a real bath without limits, before anything is sent."""
    open_controller = loaded("labctl_bath").open_controller
    with pytest.raises(InputError, match="host"):
        open_controller(settings={"hots": "10.0.0.7"}, clock=SystemClock(), limits=LIMITS)
    with pytest.raises(SafetyRefusal, match="sample_max_K"):
        open_controller(settings={"host": "10.0.0.7"}, clock=SystemClock(), limits={})


def test_the_page_shows_what_stands_in_the_files() -> None:
    """Every block of drivers/README.md that names a file of the example is in that file, word for word."""
    page = (ROOT / "drivers" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^`example/([\w./]+)`[^\n]*:\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    shown = {name for name, _ in blocks}
    assert {"pyproject.toml", "labctl_bath/_codec.py", "labctl_bath/_link.py", "labctl_sim_bath/_wire.py"} <= shown
    for name, block in blocks:
        text = (EXAMPLE / name).read_text(encoding="utf-8")
        for piece in (one.strip("\n") for one in re.split(r"\n# \.\.\.\n", block)):
            assert piece in text or indent(piece, "    ") in text, f"{name}: {piece[:60]!r}"  # a method stands deeper
