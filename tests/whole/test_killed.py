"""A campaign killed at any moment and resumed ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.cli import finishing
from labctl.cli.app import run_app
from labctl.run.journal import Journal
from tests.whole.campaigns import SMALL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills a forked child with SIGKILL")

KILLED = -signal.SIGKILL


def in_a_child(action: Callable[[], int]) -> int:
    """Run in a forked child and return its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                sys.stdout = sys.stderr = nowhere
                code = action()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die() -> None:
    """End this process as a power cut would: no handler, no clean-up, nothing flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(kind: str, step: str, when: str) -> None:
    """Arrange to be killed before or after the journal's first row of a kind about a step."""
    commit = Journal.append

    def append(self: Journal, event: Any, **more: Any) -> Any:
        mine = event.kind == kind and event.step_id.endswith(step)
        if mine and when == "before":
            die()
        row = commit(self, event, **more)
        if mine and when == "after":
            die()
        return row

    Journal.append = append  # type: ignore[method-assign]  # in a child that is about to die


def raw_data(run_dir: Path) -> dict[str, bytes]:
    """Return the FIDs of a run folder by path."""
    return {
        path.relative_to(run_dir).as_posix(): path.read_bytes()
        for name in ("fid", "ser")
        for path in sorted((run_dir / "nmr500").glob(f"*/{name}"))
    }


def estimates(run_dir: Path) -> dict[str, Any]:
    """Return what follows from the raw data alone; temperatures are read back anew after an outage."""
    document = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    return {
        "T1": {entry["site"]: (entry["T1_s"], entry["T1_se_s"]) for entry in document["t1"]},
        "A": {entry["dataset"]: (entry["A"], entry["A_se"]) for entry in document["exsy"]["matrices"]},
        "fits": [{**fit, "T_K": None, "warnings": None} for fit in document["exsy"]["fits"]],
        # which row the journal ends with is provenance: a resumed campaign has more rows
        "certificate": {**document["certificate"], "head": None},
    }


@pytest.fixture(autouse=True, scope="module")
def no_figures() -> Iterator[None]:
    """Reports nobody looks at are not drawn; children inherit this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finishing, "_write_report", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The protocol, and the run folder it leaves when nobody kills it."""
    folder = tmp_path_factory.mktemp("unkilled")
    protocol = folder / "small.yaml"
    protocol.write_text(SMALL, encoding="utf-8")
    assert run_app(["run", str(protocol), "--simulate", "--dir", str(folder / "run")]) == 0
    return protocol, folder / "run"


MOMENTS = {
    "heating": ("started", "ramp", "after", "0 s"),
    "settling": ("started", "settle", "after", "3 min"),
    "ramp asked for, not begun": ("intent", "ramp", "after", "0 s"),
    "pulse check under way": ("started", "p90", "after", "1 min"),
    "T1 acquired, not written down": ("outcome", "t1", "before", "0 s"),
    "T1 written down, not analysed": ("handed_off", "t1", "before", "0 s"),
    "2D intended, not begun": ("intent", "tmix01", "after", "10 min"),
    "in the middle of a 2D": ("started", "tmix01", "after", "4 min"),
    "2D finished while nobody was there": ("started", "tmix02", "after", "90 min"),
    "between outcome and hand-off": ("outcome", "tmix02", "after", "0 s"),
    "before the outcome of a 2D": ("outcome", "tmix02", "before", "2 h"),
    "cooling down": ("started", "cool", "after", "5 min"),
}


_WITH_OUTAGE = [
    # without an outage, `test_crash_points` kills at the same places, and its sample is never left out
    pytest.param(moment, marks=pytest.mark.slow if outage == "0 s" else ())
    for moment, (*_, outage) in MOMENTS.items()
]


@pytest.mark.parametrize("moment", _WITH_OUTAGE)
def test_a_killed_campaign_ends_like_an_unkilled_one(
    moment: str, unkilled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed and resumed, the raw data are the same bytes, nothing is acquired twice, and the numbers are equal."""
    kind, step, when, outage = MOMENTS[moment]
    protocol, reference = unkilled
    run_dir = tmp_path / "run"

    def killed() -> int:
        die_at(kind, step, when)
        return run_app(["run", str(protocol), "--simulate", "--dir", str(run_dir)])

    assert in_a_child(killed) == KILLED
    assert run_app(["resume", str(run_dir), "--outage", outage]) == 0
    capsys.readouterr()
    assert raw_data(run_dir) == raw_data(reference)
    found = estimates(run_dir)
    assert found["certificate"]["repeated"] == 0
    assert found["certificate"]["lost"] == 0
    assert found == estimates(reference)
    assert run_app(["verify", str(run_dir)]) == 0


def test_killed_again_and_again(unkilled: tuple[Path, Path], tmp_path: Path) -> None:
    """An engine that is killed at every second commit still gets there, and acquires everything once."""
    protocol, reference = unkilled
    run_dir = tmp_path / "run"

    def dies_soon(arguments: list[str]) -> Callable[[], int]:
        def run() -> int:
            commit = Journal.append
            commits = 0

            def append(self: Journal, event: Any, **more: Any) -> Any:
                nonlocal commits
                commits += 1
                row = commit(self, event, **more)
                if commits == 9:
                    die()
                return row

            Journal.append = append  # type: ignore[method-assign]  # in a child that is about to die
            return run_app(arguments)

        return run

    code = in_a_child(dies_soon(["run", str(protocol), "--simulate", "--dir", str(run_dir)]))
    kills = 0
    while code == KILLED:
        kills += 1
        assert kills < 60
        code = in_a_child(dies_soon(["resume", str(run_dir)]))
    assert code == 0
    assert kills > 3
    assert raw_data(run_dir) == raw_data(reference)
    assert estimates(run_dir)["certificate"]["repeated"] == 0
