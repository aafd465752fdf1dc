"""A second process analyses beside the engine; whether it is there, dies or is not wanted, the results are the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from labctl.cli import finishing, judging, second_process
from labctl.cli.app import run_app
from labctl.cli.second_process import Lost, SecondProcess
from tests.whole.campaigns import SMALL


@pytest.fixture(autouse=True)
def long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any rehearsal counts as long, and nobody looks at its figures."""
    monkeypatch.setattr(judging, "LONG", 1)
    monkeypatch.setattr(finishing, "_write_report", lambda *_: None)


def run(folder: Path) -> bytes:
    """Rehearse, always into the same folder, and return the results, which hold the hash of the journal's last row."""
    protocol = folder / "small.yaml"
    protocol.write_text(SMALL.replace("[20 ms, 1 s]", "[20 ms]"), encoding="utf-8")
    assert run_app(["run", str(protocol), "--simulate", "--dir", str(folder / "run")]) == 0
    results = (folder / "run" / "results.json").read_bytes()
    shutil.rmtree(folder / "run")
    return results


def test_results_do_not_depend_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Journal and results are equal beside the engine, in its process, or after the other was killed on the way."""
    beside = run(tmp_path)
    assert "second process" not in capsys.readouterr().err
    tell, killed = SecondProcess._tell, []

    def kill_then_tell(self: SecondProcess, what: dict[str, Any]) -> None:
        if what["do"] == "judge" and self._process is not None:
            self._process.kill()
            self._process.wait()
            killed.append(what)
        tell(self, what)

    with monkeypatch.context() as patch:
        patch.setattr(SecondProcess, "_tell", kill_then_tell)
        dies = run(tmp_path)
    said = capsys.readouterr().err
    assert len(killed) == 1
    assert said.count("the second process, which analyses beside the engine, has died") == 1
    monkeypatch.setenv(second_process.SWITCH, "never")
    alone = run(tmp_path)
    assert beside == alone
    assert dies == alone


def test_it_that_cannot_be_had_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told not to start it, everything is to be done here."""
    monkeypatch.setenv(second_process.SWITCH, "never")
    second = SecondProcess(tmp_path)
    with pytest.raises(Lost):
        second.judge(tmp_path / "manifest.json", tmp_path / "protocol.yaml")
    with pytest.raises(Lost):
        second.finish(tmp_path)
    second.look_ahead(tmp_path / "protocol.yaml", {"nmr500/vt_exsy"})
    second.close()
