"""A run folder as an RO-Crate: complete, checked, described as the specification asks, and the same each time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from labctl.analysis.results import Results
from labctl.dataset.model import DataFile, Dataset
from labctl.dataset.store import write_manifest
from labctl.errors import InputError
from labctl.report.crate import METADATA, write_crate

FILES = {
    "protocol.yaml": b"version: 1\n",
    "lab.yaml": b"version: 1\n",
    "results.json": b"{}\n",
    "report.html": b"<!doctype html>",
    "figures/build_up.svg": b"<svg/>",
    "nmr500/1001/ser": bytes(range(256)) * 40,
    "nmr500/1001/acqus": b"##TITLE= x\n",
    "nmr500/with space/fid": b"\0" * 64,
    "standing.json": b"{}",
    "run.lock": b"",
    "simulated-lab/console/state.json": b"{}",
    "nmr500/1001/half.tmp": b"being written",
}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Return a run folder of two acquisitions, one in a folder whose name holds a blank."""
    folder = tmp_path / "run"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for step, directory in (("nmr500/T01/exsy", "nmr500/1001"), ("nmr500/T01/ref", "nmr500/with space")):
        write_manifest(folder, _manifest(step, directory))
    with closing(sqlite3.connect(folder / "journal.sqlite")) as journal:
        journal.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, kind TEXT, body TEXT, sha TEXT)")
        journal.execute("INSERT INTO journal VALUES (1, 'campaign_begun', '{\"campaign\": \"c\"}', 'ab')")
        journal.commit()
    return folder


def _manifest(step: str, directory: str) -> Dataset:
    raw = {name: content for name, content in FILES.items() if name.startswith(directory + "/") and "tmp" not in name}
    return Dataset(
        step_id=step,
        key="k" * 8 + step,
        attempt=1,
        station="nmr500",
        procedure="vt_exsy",
        kind="exsy",
        directory=directory,
        files=tuple(
            DataFile(path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
            for name, content in raw.items()
        ),
        completeness="complete",
        settings={},
        started_s=1_767_636_000.0,
        ended_s=1_767_639_600.0,
    )


def _results() -> Results:
    energy = {
        "quantity": "k A->B",
        "model": "exchange",
        "convention": "ln k",
        "Ea_eV": 0.15,
        "Ea_se_eV": 0.02,
        "Ea_ci95_eV": [0.11, 0.19],
        "ln_value_at_ref": 0.0,
        "ln_value_at_ref_se": 0.1,
        "T_ref_K": 303.0,
        "T_K": [293.0, 313.0],
        "value": [1.0, 2.0],
        "value_se": [0.1, 0.1],
    }
    provenance = {"ended_s": 1_767_669_885.0, "sample": "a sample", "simulated": True}
    return Results.model_validate({"campaign": "c", "provenance": provenance, "exsy": {"arrhenius": [energy]}})


def _graph(archive: Path) -> dict[str, dict[str, Any]]:
    with zipfile.ZipFile(archive) as zipped:
        document = json.loads(zipped.read(METADATA))
    ids = [one["@id"] for one in document["@graph"]]
    assert len(ids) == len(set(ids))
    return {one["@id"]: one for one in document["@graph"]}


def test_everything_is_there_with_its_checksum_and_nothing_else(run_dir: Path, tmp_path: Path) -> None:
    """Each file of the folder but locks, halves and simulators is in the archive, described with size and sha256."""
    archive = write_crate(run_dir, _results(), tmp_path / "c.zip")
    graph = _graph(archive)
    files = {one["name"]: one for one in graph.values() if one["@type"] == "File"}
    with zipfile.ZipFile(archive) as zipped:
        assert set(zipped.namelist()) == {*files, METADATA}
        for name, described in files.items():
            content = zipped.read(name)
            assert described["sha256"] == hashlib.sha256(content).hexdigest()
            assert described["contentSize"] == str(len(content))
        journal = [json.loads(line) for line in zipped.read("journal.jsonl").splitlines()]
    left_out = {"standing.json", "run.lock", "simulated-lab/console/state.json", "nmr500/1001/half.tmp"}
    assert set(FILES) - left_out < set(files)
    assert not left_out & set(files)
    assert journal == [{"seq": 1, "kind": "campaign_begun", "body": {"campaign": "c"}, "sha": "ab"}]


def test_it_is_what_the_specification_asks_for(run_dir: Path, tmp_path: Path) -> None:
    """RO-Crate 1.1: a descriptor, a root with name, date, description and licence, and no reference that dangles."""
    graph = _graph(write_crate(run_dir, _results(), tmp_path / "c.zip"))
    about = graph[METADATA]
    assert about["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = graph[about["about"]["@id"]]
    assert root["@id"] == "./"
    assert root["@type"] == "Dataset"
    assert root["datePublished"] == "2026-01-06T03:24:45+00:00"
    assert {"name", "description", "license", "hasPart"} <= set(root)
    parts = {one["@id"] for one in root["hasPart"]}
    assert parts == {one["@id"] for one in graph.values() if one["@type"] in {"File", "Dataset"}} - {"./"}
    outside = ("http://", "https://")
    for one in graph.values():
        for value in one.values():
            for reference in value if isinstance(value, list) else [value]:
                if isinstance(reference, dict) and not reference["@id"].startswith(outside):
                    assert reference["@id"] in graph, reference


def test_what_was_acquired_when_and_what_came_out_can_be_read_by_machines(run_dir: Path, tmp_path: Path) -> None:
    """Each acquisition is an action with instrument, times and result; energies are values with unit and interval."""
    graph = _graph(write_crate(run_dir, _results(), tmp_path / "c.zip"))
    action = graph["#nmr500/T01/ref-1"]
    assert action["result"] == {"@id": "nmr500/with%20space/"}
    assert action["instrument"] == {"@id": "#nmr500"}
    assert (action["startTime"], action["endTime"]) == ("2026-01-05T18:00:00+00:00", "2026-01-05T19:00:00+00:00")
    assert graph["nmr500/with%20space/"]["hasPart"] == [{"@id": "nmr500/with%20space/fid"}]
    energy = graph["#Ea-1"]
    assert (energy["value"], energy["minValue"], energy["maxValue"], energy["unitText"]) == (0.15, 0.11, 0.19, "eV")
    assert "no instrument was used" in graph["./"]["description"]


def test_another_program_reads_it(run_dir: Path, tmp_path: Path) -> None:
    """The reference library opens it, finds every file, and takes the licence that was given."""
    rocrate = pytest.importorskip("rocrate.rocrate")
    licence = "https://creativecommons.org/licenses/by/4.0/"
    archive = write_crate(run_dir, _results(), tmp_path / "c.zip", license_url=licence)
    crate = rocrate.ROCrate(str(archive))
    assert crate.name == "c"
    assert crate.license == licence or crate.license["@id"] == licence
    files = {one.id for one in crate.get_entities() if one.type == "File"}
    assert {"protocol.yaml", "nmr500/1001/ser", "journal.jsonl"} <= files
    assert crate.get("nmr500/1001/ser")["sha256"] == hashlib.sha256(FILES["nmr500/1001/ser"]).hexdigest()


def test_equal_folders_give_equal_files_and_nothing_is_overwritten(run_dir: Path, tmp_path: Path) -> None:
    """Made twice it is the same to the byte; a file that exists is left alone."""
    one, two = (write_crate(run_dir, _results(), tmp_path / name) for name in ("1.zip", "2.zip"))
    assert one.read_bytes() == two.read_bytes()
    with pytest.raises(InputError, match="exists"):
        write_crate(run_dir, _results(), one)


@pytest.mark.parametrize("change", ["altered", "missing"])
def test_raw_data_that_changed_since_are_refused(run_dir: Path, tmp_path: Path, change: str) -> None:
    """A raw file that is not what was acquired stops it, by name, and no half of an archive is left."""
    raw = run_dir / "nmr500" / "1001" / "ser"
    if change == "altered":
        raw.write_bytes(b"\1" + raw.read_bytes()[1:])
    else:
        raw.unlink()
    with pytest.raises(InputError, match=r"nmr500/1001/ser") as refused:
        write_crate(run_dir, _results(), tmp_path / "c.zip")
    assert "labctl verify" in str(refused.value)
    assert [one.name for one in tmp_path.iterdir()] == ["run"]
