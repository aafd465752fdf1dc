"""The lab on disk outlasts the process: killed at any moment and opened again, it goes on as if nothing had been."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl_sim_topspin._au_machine import Machine
from labctl_sim_topspin._files import ConsoleFiles
from tests.simulators.topspin.lab import START_S, Lab

SERIES = """
int n; FILE *f; char path[200];
for (n = 0; n < 3; n++) {
    sprintf(path, "job/status/%06d.0001.begun", n);
    f = fopen(path, "w"); fprintf(f, "%.0f\\n", time(0) + 0.0); fclose(f);
    sleep(20);
    f = fopen("job/log", "a"); fprintf(f, "series %d\\n", n); fclose(f);
    ACQUIRE
    f = fopen("job/tmp", "w"); fprintf(f, "AUERR %d\\n", AUERR); fclose(f);
    sprintf(path, "job/status/%06d.0002.done", n); rename("job/tmp", path);
}
"""
WATCHER = """
FILE *f; int n;
n = 0;
while (n < 100000) { TEGET n++; f = fopen("job/log", "a"); fprintf(f, "beat %d\\n", n); fclose(f); sleep(5); }
"""
LOOK_s = 300.0
END_s = 6000.0


class KilledError(BaseException):
    """The process is gone; nothing that would run on the way out may matter."""


def _lab(folder: Path, layout: str) -> Lab:
    lab = Lab(folder, layout=layout)
    for name in ("status", "lease"):
        (lab.link.job_dir / name).mkdir()
    data = lab.link.data_dir.as_posix()
    prepare = (
        lab.exsy(41, rows=8)[:-1]
        + f'REXPNO(41+n) STOREPAR("TE", 300.0+n) TESET DATASET("t", 41+n, 1, "{data}", user) ZG }}'
    )
    lab.start("watcher", lab.dataset(1, 1, name="scratch") + WATCHER)
    lab.start("series", SERIES.replace("ACQUIRE", prepare.replace('DATASET("t", 41, 1', 'DATASET("t", 41+n, 1')))
    return lab


def _live(lab: Lab, until_s: float = END_s) -> None:
    """Look every five minutes and at every event, until the series is over."""
    while lab.now_s < until_s:
        next_look_s = START_S + (int(lab.now_s / LOOK_s) + 1) * LOOK_s
        lab.clock.wait_until(next_look_s)
        lab.link.refresh()


def _resume(lab: Lab) -> None:
    """Open the lab as the next engine does: it takes up the lease at once."""
    lab.again()
    folder = lab.link.job_dir / "lease"
    (folder / f"{len(list(folder.iterdir())) + 1:08d}.lease").write_text("", encoding="utf-8")


def _fingerprint(folder: Path) -> dict[str, str]:
    """Every file that somebody outside may see."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes().replace(str(folder).encode(), b"LAB")
        ).hexdigest()
        for part in ("data", "job", "tshome")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file() and path.suffix != ".lease"
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What is left behind when nothing happens, by layout."""
    found = {}
    for layout in ("4.0.8", "4.2"):
        lab = _lab(tmp_path_factory.mktemp("undisturbed") / "x", layout)
        _live(lab)
        assert (lab.link.job_dir / "status" / "000002.0002.done").exists(), lab.console.messages
        found[layout] = _fingerprint(lab.folder / "lab")
    return found


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.generate, Phase.reuse, Phase.explicit],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    layout=st.sampled_from(["4.0.8", "4.2"]),
    moments=st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["before", "after"])), min_size=1, max_size=4),
    where=st.sampled_from(["file", "turn", "save"]),
)
def test_killed_anywhere_it_leaves_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: dict[str, dict[str, str]],
    layout: str,
    moments: list[tuple[int, str]],
    where: str,
) -> None:
    """Killed within a file operation, between two turns, or at a save: the end is the same, byte for byte."""
    folder = tmp_path_factory.mktemp("killed") / "x"
    lab = _lab(folder, layout)
    for count, side in moments:
        with _deadly(where, count, side):
            try:
                _live(lab)
            except KilledError:
                _resume(lab)
    _live(lab)
    found, expected = _fingerprint(lab.folder / "lab"), undisturbed[layout]
    assert [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)] == []


class _deadly:  # noqa: N801 - reads as a statement
    """Within the block, the n-th call of something kills, before it does its work or after."""

    def __init__(self, where: str, count: int, side: str) -> None:
        self._target: Any
        self._target, self._name = {
            "file": (ConsoleFiles, "_note"),
            "turn": (Machine, "run"),
            "save": (ConsoleFiles, "saved"),
        }[where]
        self._left = count
        self._side = side
        self._real: Callable[..., Any] = getattr(self._target, self._name, lambda *_: None)

    def __enter__(self) -> None:
        def deadly(*args: Any, **keys: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self._side == "before":
                raise KilledError
            result = self._real(*args, **keys)
            if self._left == 0:
                raise KilledError
            return result

        setattr(self._target, self._name, deadly)

    def __exit__(self, *_error: object) -> None:
        setattr(self._target, self._name, self._real)


def test_a_lab_that_is_closed_lives_on(tmp_path: Path) -> None:
    """A lab that is closed and opened again has the same time, programs and acquisition."""
    lab = _lab(tmp_path / "a", "4.0.8")
    lab.wait(100.0)
    state = next((lab.folder / "lab").glob("state.*.json"))
    before_s = lab.simulator.now_s()
    lab.simulator.close()
    lab.again()
    assert lab.simulator.now_s() == before_s
    assert lab.console.acquirer.running is not None
    assert {item.machine.name for item in lab.console.programs.running.values()} == {"watcher", "series"}
    assert not state.exists()


def test_programs_live_while_nobody_looks(tmp_path: Path) -> None:
    """An outage is lived through in short strides: a watcher runs at least every minute, and time has passed."""
    lab = _lab(tmp_path / "a", "4.0.8")
    _live(lab, 4000.0)
    beats = (lab.link.job_dir / "log").read_text(encoding="utf-8").count("beat")
    lab.again(lab.clock.now_s() + 3600.0)
    after = (lab.link.job_dir / "log").read_text(encoding="utf-8").count("beat")
    assert after - beats >= 60
    assert lab.simulator.now_s() - START_S >= 7600.0


def test_half_a_state_file_is_not_believed(tmp_path: Path) -> None:
    """A state that was being written when the process died is passed over for the one before."""
    lab = _lab(tmp_path / "a", "4.0.8")
    _live(lab, 400.0)
    now_s = lab.simulator.now_s()
    state = next((lab.folder / "lab").glob("state.*.json"))
    serial = int(state.name.split(".")[1])
    half = state.read_text(encoding="utf-8")[:1000]
    state.with_name(f"state.{serial + 1}.json").write_text(half, encoding="utf-8")
    lab.again()
    assert lab.simulator.now_s() == now_s


def test_a_folder_that_is_no_lab_is_refused(tmp_path: Path) -> None:
    """Rubbish in place of the state is an input error that names the file."""
    lab = Lab(tmp_path / "a")
    for path in (lab.folder / "lab").glob("state.*.json"):
        path.write_text("rubbish", encoding="utf-8")
    with pytest.raises(InputError, match=r"state\.\d+\.json is not the state"):
        lab.again()


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99])
def test_a_lab_whose_first_state_was_cut_short_is_made_again(part: float, tmp_path: Path) -> None:
    """Killed while the very first state was written, there is no lab yet, and the next process makes it."""
    lab = Lab(tmp_path / "a")
    [path] = (lab.folder / "lab").glob("state.*.json")
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[: int(part * len(whole))], encoding="utf-8")
    path.rename(path.with_name("state.1.json"))
    lab.again()
    lab.run("sleep(1);")


def test_the_readers_hard_link_keeps_the_old_file(tmp_path: Path) -> None:
    """Whoever linked a ser keeps its bytes when zg replaces it."""
    lab = Lab(tmp_path / "a", zg_when_data_exist="overwrite")
    folder = lab.acquire_exsy(41, rows=4)
    os.link(folder / "ser", tmp_path / "kept")
    before = (tmp_path / "kept").read_bytes()
    lab.acquire_exsy(41, rows=6)
    assert (tmp_path / "kept").read_bytes() == before
    assert (folder / "ser").stat().st_size > len(before)


def test_console_files_take_back_what_was_not_saved(tmp_path: Path) -> None:
    """Everything done to files after the last save is undone by the next process; what came before stays."""
    keep, inside = tmp_path / "keep", tmp_path / "data"
    inside.mkdir()
    files = ConsoleFiles(keep, 0)
    files.write_text(inside / "old", "saved")
    files.append(inside / "log", "one\n")
    files.saved(1)
    files.write_text(inside / "old", "changed")
    files.write_text(inside / "new", "new")
    files.write_text(inside / "1011" / "pdata" / "1" / "title", "an EXPNO begun")
    files.write_text(inside / "1011" / "acqu", "##END=")
    files.append(inside / "log", "two\n")
    files.allocate(inside / "grown", 4096)
    shutil.copyfile(inside / "old", tmp_path / "staged")
    files.publish(tmp_path / "staged", inside / "old")
    files.remove(inside / "old")
    ConsoleFiles(keep, 1)
    assert {path.name: path.read_text(encoding="utf-8") for path in inside.iterdir()} == {
        "old": "saved",
        "log": "one\n",
    }
    assert (tmp_path / "staged").exists()


def test_a_program_whose_start_was_not_saved_never_ran(tmp_path: Path) -> None:
    """Killed right after a program's first turn, the lab knows neither the program nor its file."""
    lab = Lab(tmp_path / "a")
    body = 'FILE *f; f = fopen("job/trace", "w"); fprintf(f, "ran\\n"); fclose(f); sleep(60);'
    with pytest.raises(KilledError), _deadly("turn", 1, "after"):
        lab.start("short", body)
    assert (lab.link.job_dir / "trace").exists()
    lab.again()
    assert not (lab.link.job_dir / "trace").exists()
    assert not lab.console.programs.running
    lab.start("short", body)
    assert (lab.link.job_dir / "trace").exists()


def test_a_copy_of_a_program_that_was_cut_short_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the console copied a program's source, and once more later, the lab still opens and runs it."""
    lab, body = Lab(tmp_path / "a"), "sleep(60);"
    plain = Path.write_text

    def torn(path: Path, text: str, *more: Any, **options: Any) -> int:
        if path.is_relative_to(lab.folder / "lab" / "au"):
            plain(path, "", *more, **options)
            raise KilledError
        return plain(path, text, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", torn)
        with pytest.raises(KilledError):
            lab.start("short", body)
    lab.again()
    lab.start("short", body)
    lab.again()
    assert [running.machine.name for running in lab.console.programs.running.values()] == ["short"]
