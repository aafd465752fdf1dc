"""`labctl doctor`, the same look before a real run, and `labctl run --shadow`."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.cli.app import run_app
from labctl.cli.doctoring import of_made_up_stations, refuse_unfit
from labctl.cli.planning import checked
from labctl.clock import VirtualClock
from labctl.run.events import Intended, Policy
from labctl.run.journal import Journal
from labctl.run.state import planned_event
from labctl_sim_maccor.server import serve

LAB = """\
version: 1
lab: cellar
stations:
  maccor:
    driver: maccor
    settings: {{host: 127.0.0.1, port: 1, channel: 1, procedures_dir: {folder}, export_dir: {folder}}}
    limits: {{voltage_min: 0 V, voltage_max: 5 V, current_max: 5 mA}}
    commissioning:
      - {{stage: resistor, date: 2026-01-12, initials: AB}}
      - {{stage: guards_tripped, date: 2026-01-12, initials: AB}}
      - {{stage: killed_while_running, date: 2026-01-13, initials: AB}}
second_copy: {copy}
"""


@pytest.fixture
def tester(tmp_path: Path, protocols: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The lab file of a cycler that answers over TCP as a real one does, with a disk for the second copy."""
    monkeypatch.setenv("LABCTL_STATE_DIR", str(tmp_path / "state"))
    ready, stop = threading.Event(), threading.Event()

    class Out(io.StringIO):
        def flush(self) -> None:
            ready.set()

    out = Out()
    told = {
        "station": "maccor",
        "state_dir": tmp_path / "tester",
        "sample": protocols / "samples" / "in_li_lpsc_li2s.yaml",
        "settings": {"simulator": {"channels": 2, "service": "1 ms"}},
        "seed": 1,
        "stopped": stop.is_set,
        "out": out,
    }
    server = threading.Thread(target=serve, kwargs=told)
    server.start()
    assert ready.wait(30.0)
    served = json.loads(out.getvalue().splitlines()[0])
    (tmp_path / "archive").mkdir()
    text = LAB.format(folder=served["procedures_dir"], copy=tmp_path / "archive")
    text = text.replace("port: 1,", f"port: {served['json_port']},")
    lab = tmp_path / "live.yaml"
    lab.write_text(text, encoding="utf-8")
    yield str(lab)
    stop.set()
    server.join(30.0)


@pytest.fixture
def real(tmp_path: Path, protocols: Path) -> tuple[str, str]:
    """A protocol, and the lab file of a real cycler that is switched off; everything else of it is in order."""
    (tmp_path / "tester").mkdir()
    lab = tmp_path / "lab.yaml"
    lab.write_text(LAB.format(folder=tmp_path / "tester", copy=tmp_path / "not mounted"), encoding="utf-8")
    return str(protocols / "paper" / "cycling_capacity_series.yaml"), str(lab)


def test_a_simulated_lab_is_fit(protocols: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The campaign that ships with labctl has nothing in its way: exit code 0, and each finding says how it stands."""
    assert run_app(["doctor", str(protocols / "paper" / "eis_lii.yaml"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["station"] for one in document["stations"]] == ["autolab", "this computer"]
    checks = [check for one in document["stations"] for check in one["checks"]]
    assert {check["verdict"] for check in checks} <= {"ok", "warning"}
    assert all(check["what"] for check in checks)
    assert all(check["next_step"] or check["expected"] for check in checks if check["verdict"] == "warning")
    assert "labctl run --simulate" in of_made_up_stations(["autolab"])


def test_what_is_missing_is_named(real: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A tester that is off and a disk that is not mounted are both said at once, with what to do: exit code 3."""
    protocol, lab = real
    assert run_app(["doctor", protocol, "--lab", lab]) == 3
    out = capsys.readouterr().out
    assert "127.0.0.1:1 cannot be reached" in out
    assert "the second copy is not there" in out
    assert "2 refusals" in out


def test_a_real_run_is_refused_before_it_begins(
    real: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`labctl run` looks in the same way first: refused with every reason, nothing begun, nothing left behind."""
    protocol, lab = real
    assert run_app(["run", protocol, "--lab", lab, "--dir", str(tmp_path / "run")]) == 3
    err = capsys.readouterr().err
    assert "2 things stand in the way" in err
    assert "127.0.0.1:1" in err
    assert not (tmp_path / "run").exists()


def test_mistakes_are_the_author_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A protocol that cannot be read is exit code 2, as everywhere."""
    assert run_app(["doctor", str(tmp_path / "nowhere.yaml")]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


def test_a_shadow_run_visits_every_step(protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step of the plan stands in shadow.json with what would have been done, and no campaign was begun."""
    protocol, run_dir = str(protocols / "paper" / "eis_lii.yaml"), tmp_path / "shadow"
    assert run_app(["run", protocol, "--simulate", "--shadow", "--dir", str(run_dir)]) == 0
    document = json.loads((run_dir / "shadow.json").read_text(encoding="utf-8"))
    capsys.readouterr()
    assert run_app(["plan", protocol, "--json"]) == 0
    planned = [step["id"] for step in json.loads(capsys.readouterr().out)["steps"]]
    assert [step["step_id"] for step in document["steps"]] == planned
    assert all(step["would"] and not step["fault"] for step in document["steps"])
    assert not (run_dir / "journal.sqlite").exists()
    assert run_app(["run", protocol, "--simulate", "--shadow", "--dir", str(run_dir)]) == 2


def test_a_shadow_run_tells_what_would_fail(real: tuple[str, str], tmp_path: Path) -> None:
    """With the tester off every step is visited, its fault written down, and the exit code is 3."""
    protocol, lab = real
    state = tmp_path / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABCTL_STATE_DIR", str(state))
        assert run_app(["run", protocol, "--lab", lab, "--shadow", "--dir", str(tmp_path / "shadow")]) == 3
    document = json.loads((tmp_path / "shadow" / "shadow.json").read_text(encoding="utf-8"))
    assert document["steps"]
    assert all("127.0.0.1:1" in step["fault"] for step in document["steps"])


def test_a_simulated_lab_has_no_real_shadow(protocols: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lab that does not exist wants --simulate; a start means nothing where nothing begins."""
    protocol = str(protocols / "paper" / "eis_lii.yaml")
    assert run_app(["run", protocol, "--shadow"]) == 3
    assert "--simulate" in capsys.readouterr().err
    assert run_app(["run", protocol, "--simulate", "--shadow", "--start", "2026-01-05T18:00:00Z"]) == 2


def test_a_campaign_that_has_begun_is_not_held_up(
    real: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A resume looks at this computer only and refuses nothing: its stations are in the midst of the campaign."""
    protocol, lab = real
    done = checked(Path(protocol), Path(lab))
    step = done.plan.steps[0]
    journal = Journal(tmp_path / "journal.sqlite", clock=VirtualClock(0.0))
    journal.append(planned_event(done.plan, Policy()))
    with pytest.raises(KeyError):
        refuse_unfit(done, {}, tmp_path)  # nothing was begun yet: it asks for its instrument
    intent = Intended(station=step.station, step_id=step.id, attempt=1, key=step.key, task=step.task)
    journal.append(intent, key=step.key)
    journal.close()
    refuse_unfit(done, {}, tmp_path)  # no instrument is asked: there is none
    assert "the second copy is not there" in capsys.readouterr().err


def test_a_real_wire(tester: str, protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over the driver's own TCP link a cycler that is well is fit, and is gone through without a test being started."""
    protocol = str(protocols / "paper" / "cycling_capacity_series.yaml")
    assert run_app(["doctor", protocol, "--lab", tester]) == 0
    out = capsys.readouterr().out
    assert "the tester answers" in out
    assert "0 refusals" in out
    assert run_app(["run", protocol, "--lab", tester, "--shadow", "--dir", str(tmp_path / "shadow")]) == 0
    [step] = json.loads((tmp_path / "shadow" / "shadow.json").read_text(encoding="utf-8"))["steps"]
    assert "would start" in step["would"][-1]
    assert list((tmp_path / "tester" / "Active").glob("*")) == []
    assert run_app(["doctor", protocol, "--lab", tester]) == 0, "nothing is in the way after it either"
