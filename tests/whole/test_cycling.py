"""Fixed-capacity cycling from protocol to results: rehearsed, killed, taken up again, and with things going wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.cli import finishing, judging
from labctl.cli.app import run_app
from labctl.dataset.model import Verdict
from labctl_maccor import _tester as wire
from labctl_sim_sample import load_sample
from tests.whole.test_killed import KILLED, die, die_at, in_a_child

kills = pytest.mark.skipif(sys.platform == "win32", reason="kills a forked child with SIGKILL")

TARGETS = (300, 200, 200)
PROTOCOL = """\
version: 1
campaign: cells
sample: {name: mLi2S, simulated_as: in_li_lpsc_li2s}
procedures:
  - fixed_capacity_cycling:
      station: maccor
      cell:
        electrode_diameter: 10 mm
        mixture: {mass: 12 mg, by_mass: {composite: 4, LPSC: 4, carbon: 2}}
        composite: {by_mole: {Li2S: 3, LiI: 1}}
        mass_basis: Li2S
        equilibrium: 1.59 V
      charge_to: [300 mAh/g]
      then: {cycles: 2, charge_to: 200 mAh/g}
      current_density: 0.264 mA/cm^2
      discharge_to: 0.8 V
      guards: {charge_above: 2.1 V, charge_below: 0.3 V}
      rests: {first: 10 min}
      records: {every: 1 min}
on_fault: {maccor: pause}
"""


@pytest.fixture(autouse=True, scope="module")
def no_figures() -> Iterator[None]:
    """Reports nobody looks at are not drawn; children inherit this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finishing, "_write_report", lambda *_: None)
        yield


def run(folder: Path, faults: str = "") -> int:
    """Rehearse the protocol in `folder`, with faults of the tester; returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cells.yaml").write_text(PROTOCOL, encoding="utf-8")
    arguments = ["run", str(folder / "cells.yaml"), "--simulate", "--dir", str(folder / "run")]
    if faults:
        (folder / "faults.yaml").write_text(f"version: 1\nfaults:\n{faults}", encoding="utf-8")
        arguments += ["--faults", str(folder / "faults.yaml")]
    return run_app(arguments)


def results(folder: Path) -> dict[str, Any]:
    """Return results.json."""
    found: dict[str, Any] = json.loads((folder / "run" / "results.json").read_text(encoding="utf-8"))
    return found


def the_cell(folder: Path) -> dict[str, Any]:
    """Return the only cell of the results."""
    (cell,) = results(folder)["cycling"]["cells"]
    assert isinstance(cell, dict)
    return cell


def pc_of(folder: Path) -> Path:
    """Return the folder of the simulated tester's computer."""
    return folder / "run" / "simulated-lab" / "maccor" / "simulator"


def exports(folder: Path) -> dict[str, bytes]:
    """Return what the tester exported, by name: one file for each test that was ever started."""
    return {path.name: path.read_bytes() for path in sorted((pc_of(folder) / "Export").iterdir())}


def rows_of(export: bytes) -> list[dict[str, str]]:
    """Return the rows of an export."""
    lines = [line.split("\t") for line in export.decode("cp1252").splitlines()]
    head = next(number for number, line in enumerate(lines) if line[0].startswith("Rec"))
    return [dict(zip(lines[head], line, strict=False)) for line in lines[head + 1 :]]


def assert_alike(one: Path, other: Path) -> None:
    """Both ran one test, of the same name, with the same rows and the same numbers."""
    assert list(exports(one)) == list(exports(other))
    (ours,), (theirs,) = exports(one).values(), exports(other).values()
    columns = ("Cyc#", "Step", "State", "ES")
    assert [[row[c] for c in columns] for row in rows_of(ours)] == [
        [row[c] for c in columns] for row in rows_of(theirs)
    ]
    volts = [[float(row["Volts"]) for row in rows_of(export)] for export in (ours, theirs)]
    assert volts[0] == pytest.approx(volts[1], abs=1e-6)
    numbers = [
        {key: value for key, value in the_cell(folder)["summary"].items() if isinstance(value, (int, float))}
        for folder in (one, other)
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-6)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a campaign that went well."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(folder) == 0
    return folder


def test_every_charge_ends_at_its_capacity(undisturbed: Path) -> None:
    """The generated procedure charges each cycle to its own target (136) and discharges to the voltage (133)."""
    cell = the_cell(undisturbed)
    assert [one["charge"]["end_code"] for one in cell["cycles"]] == [136] * len(TARGETS)
    assert [one["discharge"]["end_code"] for one in cell["cycles"]] == [133] * len(TARGETS)
    assert [one["charge"]["Q_mAh_per_g"] for one in cell["cycles"]] == pytest.approx(TARGETS, rel=1e-4)
    assert [one["counts"] for one in cell["cycles"]] == [True] * len(TARGETS)
    (export,) = exports(undisturbed).values()
    assert [row["ES"].strip() for row in rows_of(export) if row["State"].strip() == "O"] == ["193"]
    certificate = results(undisturbed)["certificate"]
    assert (certificate["planned"], certificate["acquired"], certificate["lost"]) == (1, 1, 0)


def test_what_comes_back_is_what_the_sample_loses(undisturbed: Path, protocols: Path) -> None:
    """From the second cycle on the coulombic efficiency is what the sample file's loss leaves."""
    truth = load_sample(protocols / "samples" / "in_li_lpsc_li2s.yaml").cell.truth
    for one in the_cell(undisturbed)["cycles"][1:]:
        assert one["CE"] == pytest.approx(1.0 - truth.coulombic_loss, abs=2e-4)


def test_the_plateau_is_the_samples(undisturbed: Path, protocols: Path) -> None:
    """Over the window of the first charge: equilibrium, ends of the plateau, kinetics, ohms, and what relaxes."""
    sample = load_sample(protocols / "samples" / "in_li_lpsc_li2s.yaml").cell
    truth, cell = sample.truth, the_cell(undisturbed)
    low, high = cell["summary"]["plateau_window"]
    j = 0.264e-3
    limit_mAh = 1e3 * truth.active_g * truth.specific_capacity_Ah_per_g * truth.utilisation
    knee_mAh = truth.knee * limit_mAh
    charged_mAh = np.linspace(low, high, 4001) * cell["cycles"][0]["charge"]["Q_mAh"]
    q_mAh = knee_mAh * np.log(truth.drop_V / (truth.equilibrium_V - truth.open_circuit_V))
    q_mAh = q_mAh + (1.0 - truth.coulombic_loss) * charged_mAh
    seconds = charged_mAh / (1e3 * j * sample.area_cm2) * 3600.0
    thermal_V = 2.0 * 8.314462618 * 297.15 / 96485.33212
    volts = (
        truth.equilibrium_V
        - truth.drop_V * np.exp(-q_mAh / knee_mAh)
        + truth.rise_V * np.exp((q_mAh - limit_mAh) / knee_mAh)
        + thermal_V * np.arcsinh(j / (2.0 * truth.exchange_current_A_per_cm2))
        + truth.resistance_ohm_cm2 * j
        + truth.polarisation_ohm_cm2 * j * (1.0 - np.exp(-seconds / truth.polarisation_s))
    )
    assert cell["summary"]["activation_plateau_V"] == pytest.approx(float(volts.mean()), abs=1e-3)
    assert cell["summary"]["overpotential_V"] == pytest.approx(float(volts.mean()) - truth.equilibrium_V, abs=1e-3)


def test_a_raised_resistance_goes_to_the_guard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A charge that meets the upper voltage ends with 133 at a Pause; it is flagged, and the campaign says why."""
    assert run(tmp_path, "  - {fault: resistance, station: maccor, at: 9 h, by: 20}\n") == 1
    told = "".join(capsys.readouterr())
    assert "a person is needed" in told
    assert "suspended" in told
    cell = the_cell(tmp_path)
    last = cell["cycles"][-1]
    assert last["charge"]["end_code"] == 133
    assert not last["counts"]
    assert any("133" in flag or "voltage" in flag for flag in last["flags"]), last["flags"]
    assert last["cycle"] in cell["summary"]["left_out"]
    (export,) = exports(tmp_path).values()
    rows = rows_of(export)
    assert [(row["State"].strip(), row["ES"].strip()) for row in rows[-2:]] == [("C", "133"), ("S", "192")]
    assert int(rows[-1]["Step"]) > int(rows[-2]["Step"]) + 1, "not the next step of the cycle, but the guard's"


def test_a_shorted_cell_is_not_charged_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A short takes any capacity at no voltage: the low guard pauses it long before the capacity is there."""
    assert run(tmp_path, "  - {fault: short, station: maccor, at: 1 h, by: 50 ohm}\n") == 1
    assert "a person is needed" in "".join(capsys.readouterr())
    (only,) = the_cell(tmp_path)["cycles"]
    assert only["charge"]["end_code"] == 133
    assert only["charge"]["Q_mAh_per_g"] < 0.5 * TARGETS[0]
    assert not only["counts"]


def run_unanalysed(folder: Path, faults: str = "") -> int:
    """As `run`, in a child that is about to die: threads of the analysis do not outlive a fork."""
    judging.Judging.__call__ = lambda *_: Verdict()  # type: ignore[method-assign]  # of the child only
    return run(folder, faults)


MOMENTS = {
    "intended, not begun": ("intent", "after", "0 s"),
    "under way, nobody there for 5 h": ("started", "after", "5 h"),
    "finished while nobody was there": ("started", "after", "9 d"),
    "finished, not written down": ("outcome", "before", "1 h"),
    "written down, not analysed": ("handed_off", "before", "0 s"),
}


@kills
@pytest.mark.parametrize(
    "moment", [pytest.param(name, marks=pytest.mark.slow if "written down" in name else ()) for name in MOMENTS]
)
def test_a_killed_campaign_takes_its_test_up_again(
    moment: str, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One test, started once and whole: its rows are those of a campaign that nobody killed."""
    kind, when, outage = MOMENTS[moment]

    def killed() -> int:
        die_at(kind, "cell", when)
        return run_unanalysed(tmp_path)

    assert in_a_child(killed) == KILLED
    assert run_app(["resume", str(tmp_path / "run"), "--outage", outage]) == 0
    capsys.readouterr()
    told = results(tmp_path)
    assert told["certificate"]["repeated"] == told["certificate"]["lost"] == 0
    assert_alike(tmp_path, undisturbed)
    assert run_app(["verify", str(tmp_path / "run")]) == 0


@kills
@pytest.mark.parametrize("sent", [False, True], ids=["before the start was sent", "after the tester took it"])
def test_killed_in_the_start_itself(sent: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever dies between (6,2) and its reply leaves no second test: it is asked for by name and adopted."""

    def killed() -> int:
        start = wire.Tester.start

        def dying(self: wire.Tester, *arguments: Any, **more: Any) -> Any:
            if sent:
                start(self, *arguments, **more)
            die()

        wire.Tester.start = dying  # type: ignore[method-assign]  # in a child that is about to die
        return run_unanalysed(tmp_path)

    assert in_a_child(killed) == KILLED
    assert run_app(["resume", str(tmp_path / "run"), "--outage", "2 h"]) == 0
    capsys.readouterr()
    assert len(exports(tmp_path)) == 1
    assert results(tmp_path)["certificate"]["repeated"] == 0
    assert len(the_cell(tmp_path)["cycles"]) == len(TARGETS)


@kills
def test_somebody_elses_test_in_our_place_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While labctl was gone another test was started on the channel: exit code 3, and it runs on untouched."""

    def killed() -> int:
        die_at("intent", "cell", "after")
        return run_unanalysed(tmp_path, "  - {fault: occupied, station: maccor, at: 1 h}\n")

    assert in_a_child(killed) == KILLED
    assert run_app(["resume", str(tmp_path / "run"), "--outage", "2 h"]) == 3
    assert "not touched" in "".join(capsys.readouterr())
    [path] = pc_of(tmp_path).glob("state.*.json")
    channel = json.loads(path.read_text(encoding="utf-8").split("\n")[0])["channels"][0]
    assert channel["test"]["test_name"] == "somebody-elses-test"
    assert channel["stat"] == 2
    assert not list((pc_of(tmp_path) / "Archive").iterdir())


@pytest.mark.parametrize("fault", ["reply_lost", pytest.param("request_lost", marks=pytest.mark.slow)])
def test_a_start_whose_reply_is_lost_is_one_start(
    fault: str, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The channel is asked before anything is sent again: one test, the first attempt, the same cycles."""
    assert run(tmp_path, f"  - {{fault: {fault}, station: maccor, at: 0 s, function: [6, 2]}}\n") == 0
    capsys.readouterr()
    assert_alike(tmp_path, undisturbed)


def test_a_silent_link_stops_no_healthy_test(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With connections refused for two hours people are told, and the cell goes on as if nothing had been."""
    assert run(tmp_path, "  - {fault: refuses, station: maccor, at: 5 h, for: 2 h}\n") == 0
    assert "was last read" in "".join(capsys.readouterr())
    assert_alike(tmp_path, undisturbed)
