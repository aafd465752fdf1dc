"""`labctl sign`: what a stage asks of its run, who may sign it, and what becomes of the lab file."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl import located_yaml
from labctl.cli import finishing
from labctl.cli.app import run_app
from labctl.cli.lab_entry import with_signature
from labctl.errors import InputError
from labctl.protocol.lab import COMMISSIONING
from labctl.protocol.load import load_lab
from labctl_sim_maccor.server import serve

REAL = """\
version: 1
lab: cellar
stations:
  maccor:   # the tester in the cellar
    driver: maccor
    settings:
      {{host: 127.0.0.1, port: {json_port}, channel: 1, start_settle: 300 ms,
        procedures_dir: {procedures_dir}, export_dir: {export_dir}}}
    limits: {{voltage_min: 0 V, voltage_max: 5 V, current_max: 5 mA}}
"""
ENTRY = '{stage: resistor, date: 2026-03-02, initials: AB, note: "Anna Berg: run 7"}'


def rehearse(folder: Path, protocols: Path, name: str, *more: str) -> Path:
    """Run a commissioning protocol on simulators and return its folder; the report is not drawn."""
    run_dir = folder / name
    stages = protocols / "commissioning"
    words = ["run", str(stages / f"{name}.yaml"), "--lab", str(stages / "first_day.yaml"), "--simulate", *more]
    run_app([*words, "--dir", str(run_dir)])
    return run_dir


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finishing, "_write_report", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, protocols: Path) -> Path:
    """A finished rehearsal of the stage `resistor`."""
    return rehearse(tmp_path_factory.mktemp("resistor"), protocols, "maccor_resistor")


@pytest.fixture
def lab(tmp_path: Path, protocols: Path) -> Path:
    """A copy of the lab in which nothing is signed."""
    return Path(shutil.copy(protocols / "commissioning" / "first_day.yaml", tmp_path / "lab.yaml"))


def test_a_stage_that_was_shown_is_signed(finished: Path, lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One entry is added and no other line changes; it says SIM, because nothing real was commissioned."""
    lab.write_bytes(lab.read_bytes().replace(b"\n", b"\r\n"))  # as Windows writes it
    before = lab.read_text(encoding="utf-8")
    assert run_app(["sign", str(finished), "--lab", str(lab), "--by", "Anna Berg", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "FAILED" not in said
    assert "an ammeter in series showed" in said
    after = lab.read_text(encoding="utf-8")
    assert lab.read_bytes().count(b"\r\n") == lab.read_bytes().count(b"\n")
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line for line in after.splitlines() if line not in added] == before.splitlines()
    assert all(f"+{line}" in said.splitlines() for line in added)
    (signature,) = load_lab(lab).model.stations["maccor"].commissioning
    assert (signature.stage, signature.initials) == ("resistor", "SIM")
    assert "Anna Berg" in signature.note


def test_nothing_is_written_unasked(finished: Path, lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a lab file the entry is printed; without a yes, and nobody at the keyboard, the file stays as it is."""
    assert run_app(["sign", str(finished), "--by", "Anna Berg"]) == 0
    assert "stage: resistor" in capsys.readouterr().out
    before = lab.read_bytes()
    assert run_app(["sign", str(finished), "--lab", str(lab), "--by", "Anna Berg"]) == 2
    assert "nobody is here to agree" in capsys.readouterr().err
    assert lab.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("simulated: true", "simulated: false", 3, "ran on simulators, and the station is real"),
        ("current_max: 5 mA", "current_max: 4 mA", 2, "no longer what was run: limits"),
        ("voltage_margin: 100 mV", "voltage_margin: 50 mV", 2, "no longer what was run: settings.voltage_margin"),
        ("lab: first-day", "lab: elsewhere", 2, "ran in lab first-day"),
    ],
)
def test_a_signature_is_for_the_station_that_was_run(
    old: str, new: str, code: int, words: str, finished: Path, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rehearsal signs for nothing real, and a run for nothing but what was run; the file stays as it is."""
    lab.write_text(lab.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    before = lab.read_bytes()
    assert run_app(["sign", str(finished), "--lab", str(lab), "--by", "Anna Berg", "--yes"]) == code
    assert words in capsys.readouterr().err
    assert lab.read_bytes() == before


@pytest.mark.parametrize(
    ("by", "words"), [("Anna", "does not say who"), ("", "does not say who"), ("Sven Iver Molin", "SIM stands for")]
)
def test_a_person_signs(by: str, words: str, finished: Path, lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """First name and surname are wanted, and initials that are not those of simulators."""
    assert run_app(["sign", str(finished), "--lab", str(lab), "--by", by, "--yes"]) == 2
    assert words in capsys.readouterr().err


def test_damaged_data_sign_nothing(
    finished: Path, lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A raw file that is no longer what was acquired fails the stage, and the point that failed is named."""
    damaged = tmp_path / "damaged"
    shutil.copytree(finished, damaged)
    export = next(path for path in (damaged / "maccor").rglob("*.001.txt") if path.is_file())
    export.chmod(0o644)
    export.write_bytes(export.read_bytes().replace(b"1.79", b"1.19"))
    before = lab.read_bytes()
    assert run_app(["sign", str(damaged), "--lab", str(lab), "--by", "Anna Berg", "--yes"]) == 3
    said = capsys.readouterr()
    assert "FAILED journal and raw data" in said.out
    assert "nothing is signed" in said.err
    assert lab.read_bytes() == before


def test_a_run_that_shows_something_else_signs_nothing(
    finished: Path, lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A frozen protocol that was changed afterwards is refused."""
    changed = tmp_path / "changed"
    shutil.copytree(finished, changed)
    frozen = changed / "protocol.yaml"
    frozen.write_text(frozen.read_text(encoding="utf-8").replace("1 kohm", "2 kohm"), encoding="utf-8")
    assert run_app(["sign", str(changed), "--lab", str(lab), "--by", "Anna Berg", "--yes"]) == 2
    assert "was changed since the campaign began" in capsys.readouterr().err


def test_a_stage_is_run_as_written(
    finished: Path, protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody amends a stage into something longer that is not signed."""
    run_dir = tmp_path / "run"
    shutil.copytree(finished, run_dir)
    longer = tmp_path / "longer.yaml"
    text = (protocols / "commissioning" / "maccor_resistor.yaml").read_text(encoding="utf-8")
    longer.write_text(
        text.partition("\ncommissioning:")[0].replace("[25 mAh/g]", "[25 mAh/g, 25 mAh/g]"), encoding="utf-8"
    )
    assert run_app(["amend", str(run_dir), str(longer), "--reason", "more", "--yes"]) == 2
    assert "is run as written" in capsys.readouterr().err


def test_a_stage_is_commissioned_with_somebody_present(
    lab: Path, protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a real station an unsigned stage wants a person, then no signature of its own; one behind it does."""
    lab.write_text(lab.read_text(encoding="utf-8").replace("simulated: true", "simulated: false"), encoding="utf-8")
    stages = protocols / "commissioning"
    words = ["--lab", str(lab), "--dir", str(tmp_path / "run")]
    assert run_app(["run", str(stages / "maccor_resistor.yaml"), *words]) == 3
    assert "is run only with a person present" in capsys.readouterr().err
    assert run_app(["run", str(stages / "maccor_guard_time.yaml"), *words, "--attended", "Anna Berg"]) == 3
    assert "commissioning not signed: resistor (" in capsys.readouterr().err
    assert run_app(["run", str(stages / "topspin_gas_cut_without_rotor.yaml"), *words, "--attended", "Anna Berg"]) == 3
    assert "--shadow" in capsys.readouterr().err
    assert run_app(["run", str(protocols / "paper" / "cycling_life.yaml"), *words, "--attended", "Anna Berg"]) == 3
    said = capsys.readouterr().err
    assert all(stage in said for stage in COMMISSIONING["maccor"])
    assert not (tmp_path / "run").exists()


BLOCK = (
    "version: 1\nlab: l\nstations:\n  a:\n    driver: maccor   # a\n{signed}\n  # about b\n  b:\n    driver: maccor\n"
)


@pytest.mark.parametrize(
    "signed",
    [
        "    settings: {channel: 1}   # one\n",
        "    commissioning: []        # none yet\n",
        "    commissioning:\n      - {stage: overnight, date: 2026-01-01, initials: CD}   # theirs\n",
        "    commissioning:\n    - stage: overnight\n      date: 2026-01-01\n      initials: CD\n      # that night\n",
        "    commissioning:\n      # all\n      - {stage: resistor, date: 2026-01-01, initials: SIM}\n    sample: x\n",
        "    commissioning: []\n    limits:\n      current_max: 5 mA   # each way\n",
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_one_line_is_added_to_any_lab_file(signed: str, ending: str) -> None:
    """The entry stands among the station's stages, in place of an older one of its own; comments stay."""
    text = BLOCK.format(signed=signed).replace("\n", ending)
    after = with_signature(text, "a", "resistor", ENTRY, file="lab.yaml")
    data = located_yaml.loads(after, file="lab.yaml").data
    entries = data["stations"]["a"]["commissioning"]
    assert [one["initials"] for one in entries if one["stage"] == "resistor"] == ["AB"]
    assert [one["initials"] for one in entries if one["stage"] == "overnight"] == ["CD"] * signed.count("overnight")
    assert "commissioning" not in data["stations"]["b"]
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line and "none yet" not in line]
    assert comments == [line.partition("#")[2] for line in after.splitlines() if "#" in line]
    assert after.count(ending) == after.count("\n")


def test_a_file_that_no_line_fits_into_is_left_to_its_author() -> None:
    """A station in one pair of braces is not rewritten; the entry is given to be added by hand."""
    text = "version: 1\nlab: l\nstations: {a: {driver: maccor}}\n"
    with pytest.raises(InputError, match="by hand") as refused:
        with_signature(text, "a", "resistor", ENTRY, file="lab.yaml")
    assert ENTRY in str(refused.value)


@pytest.mark.slow
def test_every_stage_can_be_rehearsed_and_signed(
    lab: Path, protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gone through in order on simulators, all stages of three instruments end up signed in the lab file."""
    faults = protocols / "commissioning" / "faults"

    def sign(*runs: Path) -> int:
        return run_app(["sign", *map(str, runs), "--lab", str(lab), "--by", "Anna Berg", "--yes"])

    def done(name: str, *more: str) -> Path:
        return rehearse(tmp_path, protocols, name, *more)

    guards = [done(f"maccor_guard_{name}") for name in ("over_voltage", "low_voltage", "time")]
    assert sign(guards[0], guards[1]) == 3
    assert "without time" in capsys.readouterr().out
    assert sign(*guards) == 0
    assert sign(done("autolab_independent_cutout", "--faults", str(faults / "cutout.yaml"))) == 0
    for name in ("autolab_empty_oven", "autolab_rc_dummy_cell", "autolab_overnight", "maccor_resistor"):
        assert sign(done(name)) == 0, name
    holder = done("autolab_open_holder")
    assert sign(holder) == 3
    advice = capsys.readouterr().out.partition("Write `")[2].partition("`")[0]
    text = lab.read_text(encoding="utf-8")
    lab.write_text(text.replace("      oven:\n", f"      {advice}\n      oven:\n", 1), encoding="utf-8")
    assert sign(holder) == 0
    assert sign(done("topspin_gas_cut_without_rotor", "--shadow")) == 0
    load = done("topspin_dummy_load")
    assert sign(load) == 3
    assert run_app(["resume", str(load)]) == 0
    assert sign(load) == 0
    console = done("topspin_console_killed_in_zg", "--faults", str(faults / "console_killed.yaml"))
    assert run_app(["resume", str(console)]) == 0
    assert sign(console) == 0
    for name in ("topspin_kbr_attended", "topspin_twelve_hours_40C", "topspin_overnight"):
        assert sign(done(name)) == 0, name
    unsigned = {name: station.unsigned() for name, station in load_lab(lab).model.stations.items()}
    assert unsigned == {"nmr500": (), "autolab": (), "maccor": ("killed_while_running",)}


@pytest.fixture
def tester(tmp_path: Path, protocols: Path) -> Iterator[dict[str, Any]]:
    """A cycler on loopback with resistor and cell in it, which lives fast: its ports and folders."""
    ready, stop = threading.Event(), threading.Event()

    class Out(io.StringIO):
        def flush(self) -> None:
            ready.set()

    out = Out()
    told = {
        "station": "maccor",
        "state_dir": tmp_path / "tester",
        "sample": protocols / "samples" / "resistor_and_cell.yaml",
        "settings": {"simulator": {"channels": 2, "service": "1 ms", "starting": "10 ms"}},
        "seed": 1,
        "speed": 2000.0,
        "stopped": stop.is_set,
        "out": out,
    }
    server = threading.Thread(target=serve, kwargs=told)
    server.start()
    assert ready.wait(30.0)
    yield json.loads(out.getvalue().splitlines()[0])
    stop.set()
    server.join(30.0)


@pytest.mark.slow
def test_a_real_station_is_commissioned(
    tmp_path: Path, protocols: Path, tester: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the wire, in real time, attended: the run is let through unsigned, and signed with initials that count."""
    monkeypatch.setenv("LABCTL_STATE_DIR", str(tmp_path / "state"))
    lab, run_dir = tmp_path / "lab.yaml", tmp_path / "run"
    lab.write_text(REAL.format(**tester), encoding="utf-8")
    protocol = str(protocols / "commissioning" / "maccor_resistor.yaml")
    assert run_app(["doctor", protocol, "--lab", str(lab)]) == 0
    words = ["run", protocol, "--lab", str(lab), "--dir", str(run_dir)]
    assert run_app([*words, "--attended", "Anna Berg, beside it"]) == 0
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["attended"] == "Anna Berg, beside it"
    assert run_app(["sign", str(run_dir), "--lab", str(lab), "--by", "Anna Berg", "--yes"]) == 0
    station = load_lab(lab).model.stations["maccor"]
    assert [one.initials for one in station.commissioning] == ["AB"]
    assert station.unsigned() == ("guards_tripped", "killed_while_running")


@pytest.mark.slow
def test_labctl_killed_beside_a_cycler_is_signed(lab: Path, protocols: Path, tmp_path: Path) -> None:
    """A run that was killed while the cell charged, and resumed, shows the stage; one that was not killed does not."""
    stages, run_dir = protocols / "commissioning", tmp_path / "killed"
    words = [str(stages / "maccor_killed_while_running.yaml"), "--lab", str(stages / "first_day.yaml"), "--simulate"]
    program = [sys.executable, "-c", "from labctl.cli import main; main()", "run", *words, "--dir", str(run_dir)]
    labctl = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while labctl.poll() is None:
        if _begun(run_dir / "journal.sqlite"):
            labctl.kill()
            break
    labctl.wait()
    assert labctl.returncode != 0, "it was over before it could be killed"
    assert run_app(["resume", str(run_dir)]) == 0
    assert run_app(["sign", str(run_dir), "--lab", str(lab), "--by", "Anna Berg", "--yes"]) == 0
    undisturbed = rehearse(tmp_path, protocols, "maccor_killed_while_running")
    assert run_app(["sign", str(undisturbed), "--lab", str(lab), "--by", "Anna Berg", "--yes"]) == 3


def _begun(journal: Path) -> bool:
    try:
        with sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True) as db:
            return bool(db.execute("SELECT count(*) FROM journal WHERE kind='progress'").fetchone()[0])
    except sqlite3.Error:
        return False
