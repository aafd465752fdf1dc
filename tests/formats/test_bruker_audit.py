"""The audit trail: the last acquisition, in the words of each TopSpin."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl.formats.bruker_audit import read_audit

HEAD = "##TITLE= Audit trail\n##JCAMPDX= 5.01\n##AUDIT TRAIL=  $$ (NUMBER, WHEN, WHO, WHERE, PROCESS, VERSION, WHAT)\n"
TAIL = "##END=\n\n$$ hash MD5\n$$ AC 90\n"


def _block(number: int, version: str, what: str, *, when: str = "2024-05-01 12:00:05.000 +0200") -> str:
    return f"(   {number},<{when}>,<user>,<host>,<go4>,<TopSpin {version}>,\n      <{what}>)\n"


def _audit(tmp_path: Path, *blocks: str) -> Path:
    path = tmp_path / "audita.txt"
    path.write_text(HEAD + "".join(blocks) + TAIL, encoding="utf-8")
    return path


STARTED = "created by zg\n\tstarted at 2024-05-01 09:00:00.000 +0000,\n"
NOON = datetime(2024, 5, 1, 10, 0, 5, tzinfo=UTC).timestamp()
TEN = datetime(2024, 5, 1, 10, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("version", "what", "ended", "ended_s"),
    [
        ("3.2", STARTED + "data hash MD5: 2K * 32", "completed", NOON),
        ("3.6.2", STARTED + "terminated by command 'halt'", "halt", NOON),
        ("3.7.0", STARTED + "completed at 2024-05-01 10:00:00.000 +0000", "completed", TEN),
        ("3.7.0", STARTED, "unknown", None),
        ("4.0.5", STARTED + "finished successfully at 2024-05-01 10:00:00.000 +0000", "completed", TEN),
        ("4.0.8", STARTED + "completed at 2024-05-01 12:00:00.000 +0200", "completed", TEN),
        ("4.2.0", STARTED + "terminated by command 'stop' at 2024-05-01 10:00:00.000 +0000", "stop", TEN),
        ("4.2.0", "acquisition in progress", "unknown", None),
    ],
)
def test_each_version_says_how_it_ended(
    tmp_path: Path, version: str, what: str, ended: str, ended_s: float | None
) -> None:
    """Every wording gives the same answer: how and when, as absolute time whatever the offset of the stamp."""
    audit = read_audit(_audit(tmp_path, _block(1, version, what)))

    assert (audit.ended, audit.ended_s, audit.version) == (ended, ended_s, version)
    assert audit.completed_s == (ended_s if ended == "completed" else None)
    assert audit.in_progress == (what == "acquisition in progress")
    assert audit.acquired


def test_only_the_last_acquisition_counts(tmp_path: Path) -> None:
    """TopSpin 4.2 keeps the blocks of earlier runs and later processing; neither says how this run ended."""
    path = _audit(
        tmp_path,
        _block(1, "4.2.0", STARTED + "terminated by command 'stop' at 2024-05-01 09:30:00.000 +0000"),
        _block(2, "4.2.0", "raw data deleted by zg"),
        _block(3, "4.2.0", STARTED + "on data set with UUID 'abc-1' completed at 2024-05-01 10:00:00.000 +0000"),
        _block(4, "4.2.0", "sertoint data hash MD5: 2K * 147"),
    )

    audit = read_audit(path)

    assert (audit.ended, audit.ended_s, audit.uuid, audit.raw_deleted) == ("completed", TEN, "abc-1", True)


def test_an_opened_acquisition_is_in_progress_whatever_came_before(tmp_path: Path) -> None:
    """A new run over an old one is in progress, and the old ending is not mistaken for its own."""
    done = STARTED + "completed at 2024-05-01 10:00:00.000 +0000"
    audit = read_audit(_audit(tmp_path, _block(1, "4.2.0", done), _block(2, "4.2.0", "acquisition in progress")))

    assert audit.in_progress
    assert (audit.ended, audit.ended_s) == ("unknown", None)


@pytest.mark.parametrize(
    ("hashed", "shape"),
    [
        ("data hash MD5: 2K * 147", (2048, 147, False)),
        ("double data hash MD5: 64K", (65536, 1, True)),
        ("data hash MD5: 900 * 1K", (900, 1024, False)),
        ("", (None, None, False)),
    ],
)
def test_the_data_hash_tells_the_shape(tmp_path: Path, hashed: str, shape: tuple[int | None, int | None, bool]) -> None:
    """TD and rows stand beside the hash, with K for 1024."""
    audit = read_audit(_audit(tmp_path, _block(1, "4.0.8", STARTED + hashed)))

    assert (audit.hash_points, audit.hash_rows, audit.hash_float64) == shape


def test_what_is_no_audit_trail_is_refused(tmp_path: Path) -> None:
    """Another file under that name is an input error that names it."""
    path = tmp_path / "audita.txt"
    path.write_text("##TITLE= Parameter file\n", encoding="utf-8")

    with pytest.raises(InputError, match="not an audit trail"):
        read_audit(path)


@pytest.mark.real_data
def test_real_trails(shared_data: Path) -> None:
    """A halted run, a NEO run stamped in UTC, and a split dataset that was never acquired tell what they are."""
    bruker = shared_data / "bruker"
    halted, neo, split = (read_audit(bruker / name / "audita.txt") for name in ("halted-1d", "neo-1d", "cosy-states"))

    assert (halted.ended, halted.completed_s, halted.hash_points) == ("halt", None, 6144)
    assert (neo.ended, neo.hash_points, neo.hash_float64) == ("completed", 65536, True)
    assert neo.started_s is not None
    assert neo.completed_s is not None
    assert neo.completed_s - neo.started_s == pytest.approx(34.655)
    assert (split.acquired, split.ended, split.hash_rows) == (False, "unknown", 256)
