"""What one whole campaign leaves behind."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import sqlite3
import warnings
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import nmrglue
import numpy as np
import pytest

from labctl.analysis.results import Results
from labctl.cli.app import run_app
from labctl.clock import SystemClock
from labctl.run.journal import Journal
from tests.whole.campaigns import SMALL


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small campaign that went well."""
    folder = tmp_path_factory.mktemp("whole")
    protocol = folder / "small.yaml"
    protocol.write_text(SMALL, encoding="utf-8")
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        line = ["run", str(protocol), "--simulate", "--dir", str(folder / "run"), "--show-notifications"]
        assert run_app(line) == 0
    (folder / "said.txt").write_text(said.getvalue(), encoding="utf-8")
    return folder / "run"


def test_a_dry_run_says_what_it_would_send(run_dir: Path) -> None:
    """Nothing is sent in a dry run; its lines say what people would be told, and the journal knows nothing of it."""
    said = (run_dir.parent / "said.txt").read_text(encoding="utf-8")
    told = [line.partition(" would notify ")[2] for line in said.splitlines() if " would notify " in line]
    assert told[0].startswith("[info] small: has begun")
    assert told[-1].startswith("[info] small: done")
    journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    assert not any("notif" in row.body for row in journal.rows())
    journal.close()


def manifests(run_dir: Path) -> list[dict[str, Any]]:
    """Return the manifests of all datasets."""
    return [
        json.loads(path.read_text(encoding="utf-8"))["dataset"] for path in sorted((run_dir / "datasets").iterdir())
    ]


def read(folder: Path) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Read a dataset with nmrglue; layouts without a plain pulse program make it warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parameters, data = nmrglue.bruker.read(str(folder))
    return parameters, data


def test_the_folder_is_the_one_that_is_documented(run_dir: Path) -> None:
    """Protocol and lab as run, journal, raw data, manifests, readings, results and report are there."""
    for name in ("protocol.yaml", "lab.yaml", "run.json", "journal.sqlite", "results.json", "report.html"):
        assert (run_dir / name).is_file(), name
    for name in ("nmr500", "datasets", "readings", "figures"):
        assert any((run_dir / name).iterdir()), name


def test_a_moved_folder_is_reported_by_a_relative_path(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the folder stands and however it is named, its report shows the spectra again."""
    shutil.copytree(run_dir, tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved" / "figures")
    monkeypatch.chdir(tmp_path)
    assert run_app(["report", "moved"]) == 0
    page = Path("moved/report.html").read_text(encoding="utf-8")
    for figure in ("spectra_1d", "spectra_2d", "residuals_2d"):
        assert f'id="{figure}"' in page
    results = json.loads(Path("moved/results.json").read_text(encoding="utf-8"))
    assert all((tmp_path / "moved" / one["path"]).is_dir() for one in results["datasets"])
    assert str(tmp_path) not in json.dumps(results)
    assert run_app(["report", str(tmp_path / "moved")]) == 0
    assert json.loads(Path("moved/results.json").read_text(encoding="utf-8")) == results


def test_a_campaign_is_deposited_as_one_file(run_dir: Path, tmp_path: Path) -> None:
    """`labctl report --crate` zips raw data, journal, report, figures and tables, by the checksums acquired."""
    crate = tmp_path / "small.zip"
    assert run_app(["report", str(run_dir), "--png", "--crate", str(crate), "--license", "https://example.org/by"]) == 0
    with zipfile.ZipFile(crate) as zipped:
        graph = {one["@id"]: one for one in json.loads(zipped.read("ro-crate-metadata.json"))["@graph"]}
        for manifest in manifests(run_dir):
            for file in manifest["files"]:
                assert graph[file["path"]]["sha256"] == file["sha256"]
        names = set(zipped.namelist())
        journal = zipped.read("journal.jsonl").decode().splitlines()
    wanted = {"journal.sqlite", "report.html", "tables/exsy_matrices.csv", "figures/spectra_2d.svg"}
    assert {*wanted, "figures/spectra_2d.png", "protocol.yaml", "lab.yaml"} <= names
    assert graph["./"]["license"] == {"@id": "https://example.org/by"}
    live = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    assert [json.loads(line)["sha"] for line in journal] == [row.sha for row in live.rows()]
    live.close()
    assert run_app(["report", str(run_dir), "--crate", str(crate)]) == 2


def test_the_raw_folder_alone_is_analysed(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without journal and manifests, kinds are found by parameters; tables and spectra go where they are told to."""
    raw = tmp_path / "raw"
    shutil.copytree(run_dir / "nmr500", raw)
    before = {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    line = ["analyze", str(raw), "--csv", str(tmp_path / "csv"), "--export", str(tmp_path / "spectra"), "--json"]
    assert run_app(line) == 0
    results = Results.model_validate_json(capsys.readouterr().out)
    assert {one.kind for one in results.datasets} >= {"exsy", "saturation_recovery", "one_pulse"}
    assert results.t1
    assert len({round(one.T_K or 0.0) for one in results.exsy.matrices}) == 1
    assert Results.model_validate_json((tmp_path / "csv" / "results.json").read_text(encoding="utf-8")) == results
    with (tmp_path / "csv" / "exsy_matrices.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(len(one.A) ** 2 for one in results.exsy.matrices)
    processed = list((tmp_path / "spectra" / "bruker").glob("*/pdata/1/2rr"))
    assert len(processed) == len(results.exsy.matrices)
    assert {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()} == before
    assert run_app(["analyze", str(raw), "--pdata"]) == 2


def test_results_follow_their_schema(run_dir: Path) -> None:
    """results.json is valid by the schema that `labctl schema results` prints."""
    document = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(Results.model_json_schema()).validate(document)
    assert document["certificate"]["lost"] == 0
    assert document["certificate"]["acquired"] == document["certificate"]["planned"] == len(manifests(run_dir))


def test_nmrglue_reads_every_dataset(run_dir: Path) -> None:
    """A reader that is not ours finds the shapes that the manifests state."""
    for manifest in manifests(run_dir):
        parameters, data = read(run_dir / manifest["directory"])
        settings = manifest["settings"]
        assert data.shape[-1] * 2 >= settings["points"]
        if manifest["kind"] != "one_pulse":
            assert data.shape[0] == settings["rows"]
        assert parameters["acqus"]["NS"] == settings["scans"]


def test_an_exsy_carries_what_was_asked(run_dir: Path, tmp_path: Path) -> None:
    """D8, D1, increments, States-TPPI, comb and rate stand in the dataset's own files."""
    exsy = [one for one in manifests(run_dir) if one["kind"] == "exsy"]
    assert [one["settings"]["mixing_time_s"] for one in exsy] == [0.02, 1.0]
    for one in exsy:
        parameters, _ = read(run_dir / one["directory"])
        direct, indirect = parameters["acqus"], parameters["acqu2s"]
        assert direct["D"][8] == one["settings"]["mixing_time_s"]
        assert direct["D"][1] == pytest.approx(one["settings"]["recycle_delay_s"])
        assert indirect["FnMODE"] == 5
        assert 1 / indirect["SW_h"] == pytest.approx(0.8e-3)
        assert direct["L"][20] > 0
        assert direct["CNST"][31] == pytest.approx(10_000.0)


def test_the_recycle_delay_follows_the_measured_T1(run_dir: Path) -> None:
    """D1 of the 2Ds is the protocol's multiple of the slowest T1 that was measured before them."""
    document = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    slowest_s = max(entry["T1_s"] for entry in document["t1"])
    for one in manifests(run_dir):
        if one["kind"] == "exsy":
            assert one["settings"]["recycle_delay_s"] == pytest.approx(1.5 * slowest_s, rel=0.01)


def test_the_diagonal_lies_on_the_diagonal(run_dir: Path) -> None:
    """Processed by numpy alone, a 2D at short Tmix has its strongest points where F1 equals F2."""
    (short,) = [one for one in manifests(run_dir) if one["settings"].get("mixing_time_s") == 0.02]
    parameters, data = read(run_dir / short["directory"])
    delay = int(parameters["acqus"]["GRPDLY"])
    points = short["settings"]["points"] // 2
    rows = data[:, delay:points]
    z = np.real(np.fft.fftshift(np.fft.fft(rows, 1024, axis=1), axes=1))
    pairs = (z[0::2] + 1j * z[1::2]) * ((-1.0) ** np.arange(len(z) // 2))[:, None]
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(pairs, 64, axis=0), axes=0))
    f2 = np.fft.fftshift(np.fft.fftfreq(1024, 1 / parameters["acqus"]["SW_h"]))
    f1 = np.fft.fftshift(np.fft.fftfreq(64, 1 / parameters["acqu2s"]["SW_h"]))
    row, column = np.unravel_index(int(spectrum.argmax()), spectrum.shape)
    assert abs(f1[row] - f2[column]) < 2 * parameters["acqu2s"]["SW_h"] / 64


def test_readings_cover_the_campaign(run_dir: Path) -> None:
    """Temperature, heater, gas and spinning were recorded from begin to end."""
    with (run_dir / "readings" / "nmr500.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    quantities = {row["quantity"] for row in rows}
    assert {"sensor_K", "heater_percent", "gas_L_per_h", "spinning_Hz"} <= quantities


def test_verify_finds_what_was_changed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole folder verifies; one flipped byte of raw data is named and fails."""
    assert run_app(["verify", str(run_dir)]) == 0
    victim = next((run_dir / "nmr500").glob("*/ser"))
    before = victim.read_bytes()
    victim.unlink()  # a hard link in dry runs: the simulated console keeps its own
    victim.write_bytes(bytes([before[0] ^ 1]) + before[1:])
    try:
        assert run_app(["verify", str(run_dir)]) == 1
        assert victim.relative_to(run_dir).as_posix() in capsys.readouterr().out
    finally:
        victim.write_bytes(before)


def test_verify_of_a_damaged_journal(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that cannot be read is named, and raw data are held against their manifests all the same."""
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy, ignore=shutil.ignore_patterns("simulated-lab", "figures"))
    with contextlib.closing(sqlite3.connect(copy / "journal.sqlite")) as journal, journal:
        journal.execute("DROP TRIGGER no_update")
        journal.execute("UPDATE journal SET body = replace(body, 'attempt', 'attemqt') WHERE kind = 'outcome'")
    victim = next((copy / "nmr500").glob("*/ser"))
    victim.write_bytes(victim.read_bytes() + b"x")
    assert run_app(["verify", str(copy)]) == 1
    told = capsys.readouterr().out
    assert "is not as labctl wrote it" in told
    assert "of the journal cannot be read (outcome " in told
    assert victim.relative_to(copy).as_posix() in told


def test_verify_finds_what_was_taken_away(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest that is gone is named; so is a journal whose end was cut off, by what results.json remembers."""
    manifest = next((run_dir / "datasets").iterdir())
    aside = manifest.rename(run_dir / "aside.json")
    results = run_dir / "results.json"
    before = results.read_text(encoding="utf-8")
    try:
        assert run_app(["verify", str(run_dir)]) == 1
        assert manifest.name in capsys.readouterr().out
        aside.rename(manifest)
        document = json.loads(before)
        assert document["certificate"]["head"] == document["provenance"]["journal_head"]
        assert document["certificate"]["chain_whole"] is True
        document["provenance"]["journal_head"] = "f" * 64  # a row that came after the last there is
        results.write_text(json.dumps(document), encoding="utf-8")
        assert run_app(["verify", str(run_dir)]) == 1
        assert "its end was cut off" in capsys.readouterr().out
    finally:
        results.write_text(before, encoding="utf-8")


def test_a_finished_campaign_is_not_begun_again(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`run` refuses a folder that holds a campaign; `resume` of a finished one acquires nothing."""
    before = {path: path.stat().st_mtime_ns for path in (run_dir / "nmr500").rglob("*")}
    assert run_app(["run", str(run_dir / "protocol.yaml"), "--simulate", "--dir", str(run_dir)]) == 2
    assert "resume" in capsys.readouterr().err
    assert run_app(["resume", str(run_dir)]) == 0
    assert {path: path.stat().st_mtime_ns for path in (run_dir / "nmr500").rglob("*")} == before


def test_status_reads_a_campaign(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`status --json` says how many steps lie behind."""
    assert run_app(["status", str(run_dir), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["steps_behind"] == document["steps"]
    assert document["certificate"]["lost"] == 0


def test_a_changed_protocol_is_not_resumed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The frozen protocol is what the campaign means; an edited one is refused."""
    frozen = run_dir / "protocol.yaml"
    before = frozen.read_bytes()
    frozen.write_bytes(before.replace(b"scans: 8", b"scans: 16"))
    try:
        assert run_app(["resume", str(run_dir)]) == 2
        assert "changed" in capsys.readouterr().err
    finally:
        frozen.write_bytes(before)


def test_analyze_reads_a_run_folder(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`analyze --json` prints one document, with the step ids and calibrated temperatures of the manifests."""
    assert run_app(["analyze", str(run_dir), "--json"]) == 0
    found = Results.model_validate_json(capsys.readouterr().out)
    assert {entry.dataset for entry in found.datasets} == {one["step_id"] for one in manifests(run_dir)}
    for entry in found.datasets:
        assert pytest.approx(40 + 273.15, abs=0.5) == entry.T_K


def test_a_report_can_be_made_again(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`labctl report` gives the same numbers from the same data."""
    before = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    assert run_app(["report", str(run_dir)]) == 0
    capsys.readouterr()
    after = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    assert after["exsy"] == before["exsy"]
    assert after["t1"] == before["t1"]
