"""Protocols with one mistake each: the mistake is found, in its line, with words that help.

Each file of `broken/` says on the very line that must be reported what the message must contain, after ``#!``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labctl.errors import Finding, InputError
from labctl.plan.check import check
from labctl.protocol.load import LoadedLab, load_lab, load_protocol

HERE = Path(__file__).parent
BROKEN = sorted((HERE / "broken").glob("*.yaml"))


@pytest.fixture(scope="module")
def lab(protocols: Path) -> LoadedLab:
    """The simulated lab that ships with labctl."""
    return load_lab(protocols / "labs" / "simulated.yaml")


def errors_of(path: Path, lab: LoadedLab) -> list[Finding]:
    """Return the errors `labctl check` would print."""
    try:
        loaded = load_protocol(path)
    except InputError as problem:
        return list(problem.findings)
    found = check(loaded.model, lab.model, places=loaded.located, lab_places=lab.located)
    return [finding for finding in found if finding.severity == "error"]


def marks(path: Path) -> dict[int, str]:
    """Return line -> fragment for every ``#!`` in a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number: line.split("#!")[1].strip() for number, line in enumerate(lines, start=1) if "#!" in line}


def test_the_collection_is_large() -> None:
    """There are at least thirty broken protocols, and each marks a line."""
    assert len(BROKEN) >= 30
    assert all(marks(path) for path in BROKEN)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_mistake_is_reported_in_its_line(path: Path, lab: LoadedLab) -> None:
    """Exactly the marked lines are reported, each with the marked words, in the order of the file."""
    found, expected = errors_of(path, lab), marks(path)
    assert {finding.line for finding in found} == set(expected), [str(finding) for finding in found]
    for line, fragment in expected.items():
        texts = [str(finding) for finding in found if finding.line == line]
        assert any(fragment in text for text in texts), texts
    assert [finding.line for finding in found] == sorted(finding.line for finding in found)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_finding_reads_as_file_line_column_and_key(path: Path, lab: LoadedLab) -> None:
    """Every finding begins with file:line:column and names the key path; the column lies inside its line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for finding in errors_of(path, lab):
        assert re.match(rf"{re.escape(str(path))}:{finding.line}:{finding.column}: ", str(finding))
        assert finding.key_path
        assert 1 <= finding.column <= len(lines[finding.line - 1])


def test_the_file_they_were_made_from_is_sound(lab: LoadedLab) -> None:
    """Without its mistake the protocol has no error and no warning."""
    loaded = load_protocol(HERE / "sound.yaml")
    found = check(loaded.model, lab.model, places=loaded.located, lab_places=lab.located)
    assert {finding.severity for finding in found} <= {"advice"}


@pytest.mark.parametrize(
    ("raw", "line", "fragment"),
    [
        (b"", 1, "is empty"),
        (b"# only a comment\n", 1, "is empty"),
        (b"just text\n", 1, "does not hold keys and values"),
        (b"- a\n- list\n", 1, "does not hold keys and values"),
        (b"version: 1\ncampaign: [unclosed\n", 3, "is not YAML"),
        (b"version: 1\n\tcampaign: tabs\n", 2, "is not YAML"),
        (b"version: 1\ncampaign: caf\xe9\n", 2, "is not UTF-8"),
        (b"version: 1\nversion: 1\n", 2, "is given twice"),
        (b"version: 1\na: &a [1]\nb: *c\n", 3, "is not YAML"),
        (b"version: 1\n? [a, b]\n: c\n", 2, "a key must be plain text"),
    ],
)
def test_what_is_hardly_yaml_is_refused_in_its_line(raw: bytes, line: int, fragment: str, tmp_path: Path) -> None:
    """Files that are no protocol at all are refused as gently as the others."""
    path = tmp_path / "protocol.yaml"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        load_protocol(path)
    assert [finding.line for finding in caught.value.findings] == [line]
    assert fragment in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is an input error that names it."""
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read"):
        load_protocol(tmp_path / "nowhere.yaml")
