"""YAML with places: what is read, what is refused, and where the refusal points."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl import located_yaml
from labctl.errors import InputError


def test_every_value_knows_its_line_and_column() -> None:
    """Keys of mappings and items of lists are found where the author typed them."""
    text = "a: 10 ms\nb: [1, 2]\nc:\n  d: {e: x}\n"
    located = located_yaml.loads(text, file="p.yaml")
    lines = text.splitlines()
    for path, sought in {("a",): "a", ("b", 1): "2", ("c", "d", "e"): "e"}.items():
        line, column = located.place(path)
        assert lines[line - 1][column - 1 :].startswith(sought)


def test_a_missing_key_points_at_its_parent() -> None:
    """A finding about something that is not there points at the nearest thing that is."""
    located = located_yaml.loads("a:\n  b: 1\n", file="p.yaml")
    assert located.place(("a", "nowhere", 3)) == located.place(("a",))


REFUSED = {
    "a: 1\nb: 2\na: 3\n": (3, "given twice"),
    "a: 1\nb: !!python/object/apply:os.system [ls]\n": (2, "not allowed"),
    "a: !thing 1\n": (1, "not allowed"),
    "a:\n  - [1, 2\nb: 3\n": (3, "not YAML"),
    "? [1, 2]\n: 3\n": (1, "plain text"),
    "a: &x {b: 1}\nc:\n  <<: *x\n": (3, "merge keys"),
    "a: *nowhere\n": (1, "not YAML"),
    "\ta: 1\n": (1, "not YAML"),
    "a: 1\nb: 'open\nc: 2\n": (4, "begins in line 2"),
    "a: 1\nb: x\0y\n": (2, "U+0000"),
}


@pytest.mark.parametrize(("text", "place"), REFUSED.items())
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, place: tuple[int, str]) -> None:
    """Tags, doubled keys, merge keys and broken syntax are named by line, never half read."""
    with pytest.raises(InputError) as caught:
        located_yaml.loads(text, file="p.yaml")
    (finding,) = caught.value.findings
    assert finding.line == place[0]
    assert place[1] in str(finding)


def test_an_anchor_bomb_ends_early() -> None:
    """Nine levels of nine references each are refused instead of filling the memory."""
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="expands to more than"):
        located_yaml.loads("\n".join(levels), file="bomb.yaml")


def test_files_that_are_not_text_are_refused(tmp_path: Path) -> None:
    """A missing file, a binary file and a huge file each get a message of their own."""
    with pytest.raises(InputError, match="cannot be read"):
        located_yaml.load(tmp_path / "missing.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(InputError, match=r":2:1: is not UTF-8"):
        located_yaml.load(binary)
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (located_yaml.MAX_BYTES + 1))
    with pytest.raises(InputError, match="bytes long"):
        located_yaml.load(huge)


def test_a_file_that_was_meant_is_named(tmp_path: Path) -> None:
    """A name that is nearly that of a file beside it is answered with that one, any other with nothing."""
    (tmp_path / "first.yaml").write_text("a: 1\n", encoding="utf-8")
    for name, meant in (("first.yml", True), ("frist.yaml", True), ("somewhere-else.yaml", False)):
        with pytest.raises(InputError) as refused:
            located_yaml.load(tmp_path / name)
        assert ("first.yaml?" in str(refused.value)) is meant


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever is typed is either read as plain data or refused as input."""
    with contextlib.suppress(InputError):
        located_yaml.loads(text, file="any.yaml")
