"""Parameter files: what is there is read, and what is broken is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.formats.bruker_jcamp import read_jcamp

NAMES = st.from_regex(r"[A-Z][A-Za-z0-9_]{0,7}", fullmatch=True).filter(lambda name: name != "END")
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="<>$#\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=20
)
NUMBERS = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = (
    NUMBERS
    | st.booleans()
    | TEXTS
    | st.lists(st.integers(-999, 999), min_size=1, max_size=64)
    | st.lists(TEXTS, min_size=1, max_size=9)
)


def _write(value: object) -> str:
    if isinstance(value, list):
        words = [f"<{one}>" if isinstance(one, str) else repr(one) for one in value]
        wrapped = "\n".join(" ".join(words[at : at + 5]) for at in range(0, len(words), 5))
        return f"(0..{len(value) - 1})\n{wrapped}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"<{value}>" if isinstance(value, str) else repr(value)


@given(parameters=st.dictionaries(NAMES, VALUES, min_size=1, max_size=8), blank=st.booleans())
def test_every_parameter_comes_back(
    tmp_path_factory: pytest.TempPathFactory, parameters: dict[str, object], blank: bool
) -> None:
    """Numbers, yes/no, text and arrays are read as written, with blank lines and comments between them or not."""
    between = "\n\n$$ a comment\n" if blank else "\n"
    lines = [f"##${name}= {_write(value)}" for name, value in parameters.items()]
    path = tmp_path_factory.mktemp("jcamp") / "acqus"
    path.write_text("##TITLE= Parameter file\n" + between.join(lines) + "\n##END=\n", encoding="utf-8")

    found = read_jcamp(path)

    assert {name: found[name] for name in parameters} == parameters


def test_old_code_pages_and_missing_end_are_read(tmp_path: Path) -> None:
    """A file of an old Windows console, without ##END=, is read to its last line."""
    path = tmp_path / "acqus"
    path.write_bytes("##TITLE= x\n##$OWNER= <Müller>\n##$TD= 1024\t\n##$TE= 293.15".encode("cp1252"))

    assert read_jcamp(path) == {"TITLE": "x", "OWNER": "Müller", "TD": 1024, "TE": 293.15}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("##TITLE= x\n##$D= (0..3)\n0 1 2\n##$NS= 8\n", 2, "4 values"),
        ("##TITLE= x\n##$NS= 8\n##$PULPROG= <noesyph\n", 3, "not closed"),
        ("##TITLE= x\n##$CPDPRG= (0..1)\n<a> <b\n", 2, "not closed"),
        ("PK\x03\x04 not text at all", 1, "not a JCAMP-DX"),
        ("", 1, "no parameters"),
    ],
)
def test_a_broken_file_names_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    """A cut or foreign file is refused with file, line and what would be right."""
    path = tmp_path / "acqus"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError) as refused:
        read_jcamp(path)

    assert f"{path}:{line}:" in str(refused.value)
    assert says in str(refused.value)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    """A file that is not there is the author's matter, not a traceback."""
    with pytest.raises(InputError, match="cannot be read"):
        read_jcamp(tmp_path / "acqus")


def test_each_reader_has_parameters_of_its_own(tmp_path: Path) -> None:
    """What one reader does to its parameters no other sees, and a file that was written anew is read anew."""
    path = tmp_path / "acqus"
    path.write_text("##$NS= 8\n##$D= (0..1)\n1 2\n", encoding="utf-8")
    first = read_jcamp(path)
    assert isinstance(first["D"], list)
    first["D"].clear()
    first["NS"] = 16
    assert read_jcamp(path) == {"NS": 8, "D": [1, 2]}
    path.write_text("##$NS= 4\n##$D= (0..1)\n1 2\n", encoding="utf-8")
    assert read_jcamp(path)["NS"] == 4


@pytest.mark.real_data
def test_every_real_parameter_file_is_read(shared_data: Path) -> None:
    """All parameter files of nine consoles are read whole, and their key counts agree with their labels."""
    names = {"acqus", "acqu", "acqu2", "acqu2s", "proc", "procs", "proc2", "proc2s"}
    paths = [path for path in (shared_data / "bruker").rglob("*") if path.name in names]

    for path in paths:
        labels = [line for line in path.read_text("utf-8", errors="replace").splitlines() if line.startswith("##$")]
        found = read_jcamp(path)
        assert len(found) >= len(labels) > 0, path
        assert all(isinstance(value, str) for name, value in found.items() if name.endswith("PROG")), path
    assert len(paths) > 50
