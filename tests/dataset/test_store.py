"""Manifests on disk: atomic, never overwritten by another dataset, and true."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.dataset.model import Dataset, SampleTemperature, Verdict
from labctl.dataset.store import (
    damaged_files,
    describe_file,
    manifest_path,
    read_manifest,
    read_manifests,
    read_verdict,
    record_verdict,
    write_manifest,
)
from labctl.errors import InputError

finite = st.floats(allow_nan=False, allow_infinity=False)
datasets = st.builds(
    Dataset,
    step_id=st.from_regex(r"[a-z][a-z0-9]{0,5}(/[a-zA-Z0-9]{1,5}){1,3}", fullmatch=True),
    key=st.text("0123456789abcdef", min_size=8, max_size=8),
    attempt=st.integers(1, 9),
    station=st.just("nmr"),
    procedure=st.just("vt_exsy"),
    kind=st.sampled_from(["one_pulse", "exsy"]),
    directory=st.just("nmr/101"),
    files=st.just(()),
    completeness=st.sampled_from(["complete", "partial", "failed"]),
    started_s=finite,
    ended_s=finite,
    temperature=st.none()
    | st.builds(
        SampleTemperature, setpoint_K=finite, sensor_K=finite, sample_K=finite, sample_se_K=finite, model=st.text()
    ),
    settings=st.dictionaries(st.text(min_size=1), st.integers(-(2**53), 2**53) | finite | st.text()),
    remarks=st.lists(st.text(), max_size=2).map(tuple),
)
EXAMPLE = Dataset(
    step_id="nmr/vt_exsy/T00/tmix00",
    key="0123",
    attempt=1,
    station="nmr",
    procedure="vt_exsy",
    kind="exsy",
    directory="nmr/101",
    files=(),
    completeness="complete",
    started_s=1.0,
    ended_s=2.0,
)


@given(dataset=datasets)
def test_round_trip(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A dataset comes back from its manifest as it was."""
    folder = tmp_path_factory.mktemp("run")
    assert read_manifest(write_manifest(folder, dataset)) == dataset


def test_names(tmp_path: Path) -> None:
    """The first attempt has the plain name of the step, later ones say which they are."""
    assert manifest_path(tmp_path, "nmr/a/T00", 1).name == "nmr__a__T00.json"
    assert manifest_path(tmp_path, "nmr/a/T00", 2).name == "nmr__a__T00.a2.json"


def test_never_overwritten(tmp_path: Path) -> None:
    """An equal manifest may be written again; of other data it is refused, and the file stays."""
    path = write_manifest(tmp_path, EXAMPLE)
    before = path.read_bytes()
    assert write_manifest(tmp_path, EXAMPLE) == path
    with pytest.raises(InputError, match="describes other data"):
        write_manifest(tmp_path, replace(EXAMPLE, key="4567"))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_the_journal_tells_otherwise_is_kept_beside(tmp_path: Path) -> None:
    """Another story of the same data, or a damaged manifest, is kept under another name; the journal is the truth."""
    path = write_manifest(tmp_path, EXAMPLE)
    first = path.read_bytes()
    again = replace(EXAMPLE, ended_s=EXAMPLE.ended_s + 3.0)
    assert read_manifest(write_manifest(tmp_path, again)) == again
    path.write_text("{half", encoding="utf-8")
    assert read_manifest(write_manifest(tmp_path, again)) == again
    kept = {entry.name: entry.read_bytes() for entry in path.parent.iterdir() if entry != path}
    assert kept == {f"{path.name}.1.old": first, f"{path.name}.2.old": b"{half"}


def test_verdict_is_recorded_once(tmp_path: Path) -> None:
    """A verdict joins its manifest once; another one is refused; the dataset is as before."""
    path = write_manifest(tmp_path, EXAMPLE)
    assert read_verdict(path) is None
    verdict = Verdict(measured={"T1_s/Li2S": 17.0}, message="fine")
    record_verdict(tmp_path, EXAMPLE, verdict)
    record_verdict(tmp_path, EXAMPLE, verdict)
    assert (read_manifest(path), read_verdict(path)) == (EXAMPLE, verdict)
    with pytest.raises(InputError, match="another verdict"):
        record_verdict(tmp_path, EXAMPLE, Verdict())


def test_checksums_tell_damage(tmp_path: Path) -> None:
    """A changed or missing raw file is named; whole ones are not."""
    (tmp_path / "nmr" / "101").mkdir(parents=True)
    for name in ("ser", "acqus"):
        (tmp_path / "nmr" / "101" / name).write_bytes(name.encode() * 1000)
    dataset = replace(EXAMPLE, files=tuple(describe_file(tmp_path, f"nmr/101/{name}") for name in ("ser", "acqus")))
    assert damaged_files(tmp_path, dataset) == ()
    (tmp_path / "nmr" / "101" / "ser").write_bytes(b"ser" * 999 + b"sex")
    (tmp_path / "nmr" / "101" / "acqus").unlink()
    assert damaged_files(tmp_path, dataset) == (
        "nmr/101/ser has changed since it was acquired",
        "nmr/101/acqus is missing",
    )


def test_all_in_order(tmp_path: Path) -> None:
    """All manifests of a run are read in the order the acquisitions began."""
    later = replace(EXAMPLE, step_id="nmr/a", started_s=9.0)
    for dataset in (later, EXAMPLE):
        write_manifest(tmp_path, dataset)
    assert read_manifests(tmp_path) == (EXAMPLE, later)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not JSON"),
        ("[]", "not a manifest"),
        ('{"version": 7}', "version 7"),
        ('{"version": 1}', "dataset"),
        ('{"version": 1, "dataset": {"step_id": 3}}', "dataset"),
    ],
)
def test_broken_manifests(tmp_path: Path, text: str, what: str) -> None:
    """A file that is no manifest is refused with its name and what is wrong."""
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=what) as error:
        read_manifest(path)
    assert str(path) in str(error.value)


def test_missing_field_is_named(tmp_path: Path) -> None:
    """A manifest without a field is refused with that field's name."""
    path = write_manifest(tmp_path, EXAMPLE)
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["dataset"]["started_s"]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match=r"dataset\.started_s"):
        read_manifest(path)
